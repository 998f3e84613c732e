//! The offered tools: names, and the types of their parameters where schemas are given.

use std::fmt;

use serde_json::Value as Tree;

/// The type that a schema gives a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterType {
    /// `string`.
    String,
    /// `integer`.
    Integer,
    /// `number`.
    Number,
    /// `boolean`.
    Boolean,
    /// `array` or `object`.
    Structure,
    /// Several types, or none that is known.
    Any,
}

impl ParameterType {
    fn of(schema: &Tree) -> Self {
        match schema.get("type").and_then(Tree::as_str) {
            Some("string") => Self::String,
            Some("integer") => Self::Integer,
            Some("number") => Self::Number,
            Some("boolean") => Self::Boolean,
            Some("array" | "object") => Self::Structure,
            _ => Self::Any,
        }
    }
}

/// One offered tool.
#[derive(Clone, Debug)]
pub struct Tool {
    name: String,
    parameters: Option<Tree>,
    types: Vec<(String, ParameterType)>,
}

impl Tool {
    fn new(name: String, parameters: Option<Tree>) -> Self {
        let properties = parameters.as_ref().and_then(|schema| schema.get("properties")).and_then(Tree::as_object);
        let types = properties
            .map(|known| known.iter().map(|(name, schema)| (name.clone(), ParameterType::of(schema))).collect())
            .unwrap_or_default();
        Self { name, parameters, types }
    }

    /// The tool's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The JSON Schema of its arguments, where one was given.
    pub fn parameters(&self) -> Option<&Tree> {
        self.parameters.as_ref()
    }

    /// The type of a parameter; `None` for one that the schema does not list.
    pub fn parameter_type(&self, name: &str) -> Option<ParameterType> {
        self.types.iter().find(|(known, _)| known == name).map(|(_, kind)| *kind)
    }
}

/// The offered tools.
#[derive(Clone, Debug, Default)]
pub struct Tools(Vec<Tool>);

/// Why a list of tools cannot be used: the caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadTools(pub String);

impl fmt::Display for BadTools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadTools {}

impl Tools {
    /// Takes names alone.
    pub fn new(names: Vec<String>) -> Self {
        Self::from_tools(names.into_iter().map(|name| Tool::new(name, None)).collect())
    }

    fn from_tools(mut tools: Vec<Tool>) -> Self {
        tools.sort_by(|a, b| a.name.cmp(&b.name));
        tools.dedup_by(|a, b| a.name == b.name);
        Self(tools)
    }

    /// Reads a JSON list of names and tool schemas (`{"name": ..., "parameters": {...}}`, OpenAI's
    /// `{"function": {...}}`, Anthropic's `input_schema`). Of tools with the same name the first counts.
    pub fn from_value(value: &Tree) -> Result<Self, BadTools> {
        let items = value.as_array().ok_or_else(|| BadTools("must be a list of names or tool schemas".to_owned()))?;
        let tools = items.iter().enumerate().map(|(at, item)| {
            let function = item.get("function").unwrap_or(item);
            let name = item.as_str().or_else(|| function.get("name").and_then(Tree::as_str));
            let parameters = function.get("parameters").or_else(|| function.get("input_schema"));
            name.map(|name| Tool::new(name.to_owned(), parameters.filter(|schema| schema.is_object()).cloned()))
                .ok_or_else(|| BadTools(format!("item {at} is neither a name nor a tool schema")))
        });
        tools.collect::<Result<_, _>>().map(Self::from_tools)
    }

    /// The tool of that name, if it was offered.
    pub fn get(&self, name: &str) -> Option<&Tool> {
        self.0.binary_search_by(|tool| tool.name.as_str().cmp(name)).ok().map(|at| &self.0[at])
    }

    /// Whether a tool of that name was offered.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}
