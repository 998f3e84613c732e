//! The common keywords of tool schemas, compiled and checked.

use std::cmp::Ordering;

use serde_json::{Map as Object, Value as Tree};

use crate::json::{Doc, Id, Map, Value};

/// A set of JSON types, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Types(pub u8);

impl Types {
    pub(super) const NULL: u8 = 1;
    pub(super) const BOOLEAN: u8 = 2;
    /// Integers only.
    pub(super) const INTEGER: u8 = 4;
    /// Every number.
    pub(super) const NUMBER: u8 = 8;
    pub(super) const STRING: u8 = 16;
    pub(super) const ARRAY: u8 = 32;
    pub(super) const OBJECT: u8 = 64;
    const ALL: Self = Self(127);

    /// The types' names, with their bits.
    pub(super) const NAMES: [(&'static str, u8); 7] = [
        ("null", Self::NULL),
        ("boolean", Self::BOOLEAN),
        ("integer", Self::INTEGER),
        ("number", Self::NUMBER),
        ("string", Self::STRING),
        ("array", Self::ARRAY),
        ("object", Self::OBJECT),
    ];

    fn read(tree: &Tree) -> Option<Self> {
        let bit = |tree: &Tree| Self::NAMES.iter().find(|(name, _)| tree.as_str() == Some(name)).map(|(_, bit)| *bit);
        match tree {
            Tree::Array(names) if !names.is_empty() => {
                names.iter().try_fold(0, |bits, name| Some(bits | bit(name)?)).map(Self)
            }
            Tree::String(_) => bit(tree).map(Self),
            _ => None,
        }
    }

    #[inline]
    fn has(self, bits: u8) -> bool {
        self.0 & bits != 0
    }
}

/// What a schema says of the arguments that it does not list.
#[derive(Clone, Debug)]
pub(super) enum Additional {
    Any,
    None,
    Rule(Box<Rule>),
}

/// A property that a schema lists or requires.
#[derive(Clone, Debug)]
pub(super) struct Property {
    pub name: Box<str>,
    pub required: bool,
    /// `None` for one that is required but not listed.
    pub rule: Option<Rule>,
}

/// The values of an `enum` or `const`.
#[derive(Clone, Debug)]
pub(super) struct Values {
    doc: Doc,
    ids: Vec<Id>,
}

impl Values {
    fn new<'t>(trees: impl Iterator<Item = &'t Tree>) -> Self {
        let mut doc = Doc::default();
        let ids = trees.map(|tree| doc.add_tree(tree)).collect();
        Self { doc, ids }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Value<'_>> {
        self.ids.iter().map(|id| self.doc.value(*id))
    }
}

/// Limits of a number, and of the length of a text, a list and an object.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Limits {
    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
    pub above: Option<f64>,
    pub below: Option<f64>,
    pub text: Lengths,
    pub items: Lengths,
    pub properties: Lengths,
}

/// The least and the greatest length.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Lengths {
    pub least: Option<usize>,
    pub most: Option<usize>,
}

impl Lengths {
    pub(super) fn fit(self, length: usize) -> bool {
        self.least.is_none_or(|least| least <= length) && self.most.is_none_or(|most| length <= most)
    }
}

/// A compiled schema of the common keywords.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub types: Types,
    pub properties: Vec<Property>,
    required: usize,
    pub additional: Additional,
    pub values: Option<Values>,
    /// `None` where there are none.
    pub limits: Option<Box<Limits>>,
    pub items: Option<Box<Rule>>,
    pub any_of: Vec<Rule>,
    pub all_of: Vec<Rule>,
}

/// Keywords that decide nothing.
const ANNOTATIONS: [&str; 18] = [
    "title",
    "description",
    "default",
    "examples",
    "example",
    "format",
    "$comment",
    "deprecated",
    "readOnly",
    "writeOnly",
    "nullable",
    "$defs",
    "definitions",
    "strict",
    "name",
    "optional",
    "contentMediaType",
    "contentEncoding",
];

impl Rule {
    fn any() -> Self {
        Self {
            types: Types::ALL,
            properties: Vec::new(),
            required: 0,
            additional: Additional::Any,
            values: None,
            limits: None,
            items: None,
            any_of: Vec::new(),
            all_of: Vec::new(),
        }
    }

    /// Compiles a schema; `None` for one with other keywords, or with something that is no schema.
    pub(super) fn compile(schema: &Tree) -> Option<Self> {
        let mut rule = Self::any();
        let object = match schema {
            Tree::Bool(true) => return Some(rule),
            Tree::Bool(false) => {
                rule.types = Types(0);
                return Some(rule);
            }
            Tree::Object(object) => object,
            _ => return None,
        };
        let mut limits = Limits::default();
        for (key, value) in object {
            match key.as_str() {
                "type" => rule.types = Types::read(value)?,
                "properties" => rule.list(value.as_object()?)?,
                "required" => {} // after the properties
                "additionalProperties" => rule.additional = additional(value)?,
                "enum" => rule.restrict(Values::new(value.as_array()?.iter()))?,
                "const" => rule.restrict(Values::new(std::iter::once(value)))?,
                "items" => rule.items = Some(Box::new(Self::compile(value)?)),
                "anyOf" => rule.any_of = several(value)?,
                "allOf" => rule.all_of = several(value)?,
                "minimum" => limits.minimum = Some(value.as_f64()?),
                "maximum" => limits.maximum = Some(value.as_f64()?),
                "exclusiveMinimum" => limits.above = Some(value.as_f64()?),
                "exclusiveMaximum" => limits.below = Some(value.as_f64()?),
                "minLength" => limits.text.least = Some(length(value)?),
                "maxLength" => limits.text.most = Some(length(value)?),
                "minItems" => limits.items.least = Some(length(value)?),
                "maxItems" => limits.items.most = Some(length(value)?),
                "minProperties" => limits.properties.least = Some(length(value)?),
                "maxProperties" => limits.properties.most = Some(length(value)?),
                "uniqueItems" if value == &Tree::Bool(false) => {}
                "$schema" if value.as_str()?.contains("2020-12") => {}
                known if ANNOTATIONS.contains(&known) || known.starts_with("x-") => {}
                _ => return None,
            }
        }
        if let Some(required) = object.get("required") {
            rule.require(required.as_array()?)?;
        }
        rule.limits = (limits != Limits::default()).then(|| Box::new(limits));
        Some(rule)
    }

    fn list(&mut self, properties: &Object<String, Tree>) -> Option<()> {
        for (name, schema) in properties {
            let rule = Some(Self::compile(schema)?);
            self.properties.push(Property { name: name.as_str().into(), required: false, rule });
        }
        Some(())
    }

    fn require(&mut self, names: &[Tree]) -> Option<()> {
        for name in names {
            let name = name.as_str()?;
            if let Some(known) = self.properties.iter_mut().find(|known| &*known.name == name) {
                known.required = true;
            } else {
                self.properties.push(Property { name: name.into(), required: true, rule: None });
            }
        }
        self.required = self.properties.iter().filter(|known| known.required).count();
        Some(())
    }

    /// An `enum` and a `const` in one schema are left to the crate, as is an empty `enum`.
    fn restrict(&mut self, values: Values) -> Option<()> {
        (self.values.is_none() && !values.ids.is_empty()).then(|| self.values = Some(values))
    }

    /// Whether a value fits.
    #[inline]
    pub(super) fn fits(&self, value: Value<'_>) -> bool {
        self.has_type(value)
            && self.values.as_ref().is_none_or(|known| known.iter().any(|known| known == value))
            && self.limits.as_ref().is_none_or(|limits| limits.fit(value))
            && match value {
                Value::Object(map) => self.fits_object(map),
                Value::Array(list) => self.items.as_ref().is_none_or(|rule| list.iter().all(|item| rule.fits(item))),
                _ => true,
            }
            && (self.any_of.is_empty() || self.any_of.iter().any(|rule| rule.fits(value)))
            && self.all_of.iter().all(|rule| rule.fits(value))
    }

    #[inline]
    pub(super) fn has_type(&self, value: Value<'_>) -> bool {
        match value {
            Value::Null => self.types.has(Types::NULL),
            Value::Bool(_) => self.types.has(Types::BOOLEAN),
            Value::Int(_) => self.types.has(Types::NUMBER | Types::INTEGER),
            Value::Float(_) | Value::Big(_) => {
                self.types.has(Types::NUMBER) || self.types.has(Types::INTEGER) && is_integral(value)
            }
            Value::String(_) => self.types.has(Types::STRING),
            Value::Array(_) => self.types.has(Types::ARRAY),
            Value::Object(_) => self.types.has(Types::OBJECT),
        }
    }

    fn fits_object(&self, map: Map<'_>) -> bool {
        let mut missing = self.required;
        // Most calls write their arguments in the order of the schema: the search goes on where it found the last.
        let mut next = 0;
        for (key, value) in map.iter() {
            let at = if self.properties.get(next).is_some_and(|known| &*known.name == key) {
                Some(next)
            } else {
                self.properties.iter().position(|known| &*known.name == key)
            };
            let property = at.map(|at| &self.properties[at]);
            next = at.map_or(next, |at| at + 1);
            missing -= usize::from(property.is_some_and(|known| known.required));
            let fits = match property.and_then(|known| known.rule.as_ref()) {
                Some(rule) => rule.fits(value),
                None => match &self.additional {
                    Additional::Any => true,
                    Additional::None => false,
                    Additional::Rule(rule) => rule.fits(value),
                },
            };
            if !fits {
                return false;
            }
        }
        missing == 0
    }
}

impl Limits {
    fn fit(&self, value: Value<'_>) -> bool {
        match value {
            Value::Int(_) | Value::Float(_) | Value::Big(_) => {
                let is = |bound: Option<f64>, wanted: fn(Ordering) -> bool| {
                    bound.is_none_or(|bound| order(value, bound).is_some_and(wanted))
                };
                is(self.minimum, Ordering::is_ge)
                    && is(self.maximum, Ordering::is_le)
                    && is(self.above, Ordering::is_gt)
                    && is(self.below, Ordering::is_lt)
            }
            Value::String(text) => self.text == Lengths::default() || self.text.fit(text.chars().count()),
            Value::Array(list) => self.items.fit(list.len()),
            Value::Object(map) => self.properties.fit(map.len()),
            Value::Null | Value::Bool(_) => true,
        }
    }
}

/// How a number compares with a bound; exact for integers and bounds of up to 53 bits.
pub(super) fn order(value: Value<'_>, bound: f64) -> Option<Ordering> {
    value.as_f64().and_then(|number| number.partial_cmp(&bound))
}

fn is_integral(value: Value<'_>) -> bool {
    match value {
        // Digits alone, though no double is as large.
        Value::Big(text) if !text.contains(['.', 'e', 'E']) => true,
        value => value.as_f64().is_some_and(|number| number.fract() == 0.0),
    }
}

fn additional(tree: &Tree) -> Option<Additional> {
    Some(match tree {
        Tree::Bool(true) => Additional::Any,
        Tree::Bool(false) => Additional::None,
        tree => Additional::Rule(Box::new(Rule::compile(tree)?)),
    })
}

fn several(tree: &Tree) -> Option<Vec<Rule>> {
    tree.as_array().filter(|list| !list.is_empty())?.iter().map(Rule::compile).collect()
}

fn length(tree: &Tree) -> Option<usize> {
    tree.as_u64().and_then(|length| usize::try_from(length).ok())
}
