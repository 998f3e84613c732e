//! The offered tools: names, and the schemas of their arguments where they are given.

use std::fmt;

use serde_json::Value as Tree;

use crate::json::{Doc, Id, Value, same_text};
use crate::schema::Schema;

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

/// A parameter that a tool's schema lists.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: ParameterType,
    /// Whether the schema lists its values (`enum`, `const`): then only the same value is similar.
    pub listed_values: bool,
    default: Option<Id>,
}

/// One offered tool.
#[derive(Clone, Debug)]
pub struct Tool {
    name: String,
    parameters: Option<Tree>,
    schema: Option<Schema>,
    known: Vec<Parameter>,
    commutative: Vec<Vec<String>>,
    /// The parameters' defaults.
    doc: Doc,
}

/// The schema extension that lists which arguments may change places.
const COMMUTATIVE: &str = "x-commutative";

/// At most so many arguments may change places: all orders are tried.
const MAX_COMMUTATIVE: usize = 4;

impl Tool {
    fn named(name: String) -> Self {
        let (known, commutative) = (Vec::new(), Vec::new());
        Self { name, parameters: None, schema: None, known, commutative, doc: Doc::default() }
    }

    fn new(name: String, function: &Tree) -> Result<Self, String> {
        let mut tool = Self::named(name);
        let parameters = match function.get("parameters").or_else(|| function.get("input_schema")) {
            None | Some(Tree::Null) => return Ok(tool),
            Some(parameters) if parameters.is_object() => parameters,
            Some(_) => return Err("its parameters are no JSON Schema: they must be an object".to_owned()),
        };
        tool.schema = Some(Schema::compile(parameters)?);
        for (name, schema) in parameters.get("properties").and_then(Tree::as_object).into_iter().flatten() {
            let default = schema.get("default").map(|tree| tool.doc.add_tree(tree));
            let listed_values = schema.get("enum").or_else(|| schema.get("const")).is_some();
            let kind = ParameterType::of(schema);
            tool.known.push(Parameter { name: name.clone(), kind, listed_values, default });
        }
        if let Some(groups) = function.get(COMMUTATIVE).or_else(|| parameters.get(COMMUTATIVE)) {
            tool.commutative = tool.groups(groups)?;
        }
        tool.parameters = Some(parameters.clone());
        Ok(tool)
    }

    fn groups(&self, groups: &Tree) -> Result<Vec<Vec<String>>, String> {
        let wrong = format!("its {COMMUTATIVE} must be a list of lists of 1 to {MAX_COMMUTATIVE} parameters' names");
        let groups: Vec<Vec<String>> = serde_json::from_value(groups.clone()).map_err(|_| wrong.clone())?;
        let mut seen = Vec::new();
        for group in &groups {
            if group.is_empty() || group.len() > MAX_COMMUTATIVE {
                return Err(wrong);
            }
            for name in group {
                if self.parameter(name).is_none() || seen.contains(&name) {
                    return Err(format!("its {COMMUTATIVE} names {name:?}, which is no parameter, or names it twice"));
                }
                seen.push(name);
            }
        }
        Ok(groups)
    }

    /// The tool's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The JSON Schema of its arguments, where one was given.
    pub fn parameters(&self) -> Option<&Tree> {
        self.parameters.as_ref()
    }

    /// The same, compiled.
    pub fn schema(&self) -> Option<&Schema> {
        self.schema.as_ref()
    }

    /// A parameter; `None` for one that the schema does not list.
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.known.iter().find(|known| known.name == name)
    }

    /// The type of a parameter; `None` for one that the schema does not list.
    pub fn parameter_type(&self, name: &str) -> Option<ParameterType> {
        self.parameter(name).map(|known| known.kind)
    }

    /// The value that an argument has when a call leaves it out, where the schema says so.
    pub fn default_of(&self, name: &str) -> Option<Value<'_>> {
        self.parameter(name)?.default.map(|id| self.doc.value(id))
    }

    /// The groups of arguments that may change places (`x-commutative`). A group of one argument is a list whose items may.
    pub fn commutative(&self) -> &[Vec<String>] {
        &self.commutative
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
        Self::from_tools(names.into_iter().map(Tool::named).collect())
    }

    fn from_tools(mut tools: Vec<Tool>) -> Self {
        tools.sort_by(|a, b| a.name.cmp(&b.name));
        tools.dedup_by(|a, b| a.name == b.name);
        Self(tools)
    }

    /// Reads a JSON list of names and tool schemas (`{"name": ..., "parameters": {...}}`, OpenAI's
    /// `{"function": {...}}`, Anthropic's `input_schema`). Of tools with the same name the first counts.
    ///
    /// The schemas are compiled here, see [`Schema::compile`]. The extension `"x-commutative": [["a", "b"]]`, beside or
    /// inside the parameters, says which arguments may change places.
    ///
    /// ```
    /// use mentor::tools::Tools;
    /// let broken = serde_json::json!([{"name": "add", "parameters": {"type": "thing"}}]);
    /// assert!(Tools::from_value(&broken).unwrap_err().to_string().starts_with("tool \"add\": "));
    /// ```
    pub fn from_value(value: &Tree) -> Result<Self, BadTools> {
        let items = value.as_array().ok_or_else(|| BadTools("must be a list of names or tool schemas".to_owned()))?;
        let tools = items.iter().enumerate().map(|(at, item)| {
            let function = item.get("function").unwrap_or(item);
            let name = item.as_str().or_else(|| function.get("name").and_then(Tree::as_str));
            let name = name.ok_or_else(|| BadTools(format!("item {at} is neither a name nor a tool schema")))?;
            Tool::new(name.to_owned(), function).map_err(|error| BadTools(format!("tool {name:?}: {error}")))
        });
        tools.collect::<Result<_, _>>().map(Self::from_tools)
    }

    /// The tool of that name, if it was offered.
    pub fn get(&self, name: &str) -> Option<&Tool> {
        self.find(name).map(|at| &self.0[at])
    }

    /// The place of the tool of that name, for [`Tools::get_at`].
    pub fn find(&self, name: &str) -> Option<usize> {
        const FEW: usize = 24; // to look at all of them is quicker than to compare names in order
        if self.0.len() <= FEW {
            return self.0.iter().position(|tool| same_text(&tool.name, name));
        }
        self.0.binary_search_by(|tool| tool.name.as_str().cmp(name)).ok()
    }

    /// The tool at a place that [`Tools::find`] gave.
    pub fn get_at(&self, at: usize) -> Option<&Tool> {
        self.0.get(at)
    }

    /// Whether a tool of that name was offered.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}
