//! JSON Schemas of tools' arguments, compiled once, checked on [`Value`]s without a copy.
//!
//! The keywords that tool schemas are made of are checked by [`rule`]; a schema with any other keyword is given as a whole to
//! the crate `jsonschema`, which needs a copy of each value. A property test holds the two to agree.

mod fault;
mod rule;
mod spelling;

use std::borrow::Cow;
use std::sync::Arc;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value as Tree;

use crate::json::Value;
use rule::Rule;

/// So many steps a pattern that needs backtracking may take on one text; beyond them the text does not match.
const MAX_BACKTRACKS: usize = 10_000;

/// A compiled schema.
#[derive(Clone, Debug)]
pub struct Schema(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Rule(Box<Rule>),
    Whole(Arc<Validator>),
}

impl Schema {
    /// Compiles a schema, draft 2020-12 unless its `$schema` says otherwise.
    ///
    /// `format` is an annotation, as in the draft. Two spellings that tool lists use are understood too: `OpenAPI`'s
    /// `"nullable": true`, and types by other names (`dict`, `float`, `STRING`, ...). Nothing is fetched: a `$ref` that
    /// leads out of the schema is an error, as is anything that is no schema. The message says what is wrong.
    pub fn compile(schema: &Tree) -> Result<Self, String> {
        let schema = spelling::normal(schema);
        match Rule::compile(&schema) {
            Some(rule) => Ok(Self(Kind::Rule(Box::new(rule)))),
            None => Self::whole(&schema),
        }
    }

    /// The schema as it is compiled: `nullable` and the types' other names in JSON Schema's own spelling.
    pub fn normal(schema: &Tree) -> Cow<'_, Tree> {
        spelling::normal(schema)
    }

    /// Compiles with the crate, whatever the keywords.
    fn whole(schema: &Tree) -> Result<Self, String> {
        let linear = PatternOptions::regex();
        let backtracking = PatternOptions::fancy_regex().backtrack_limit(MAX_BACKTRACKS);
        let options = || jsonschema::options().should_validate_formats(false);
        // Patterns meet hostile text: the linear engine, unless a pattern needs what it does not have.
        let validator = options().with_pattern_options(linear).build(schema);
        let validator = validator.or_else(|_| options().with_pattern_options(backtracking).build(schema));
        validator.map(|validator| Self(Kind::Whole(Arc::new(validator)))).map_err(|error| error.to_string())
    }

    /// Whether a value fits.
    pub fn fits(&self, value: Value<'_>) -> bool {
        match &self.0 {
            Kind::Rule(rule) => rule.fits(value),
            Kind::Whole(validator) => validator.is_valid(&value.to_tree()),
        }
    }

    /// What is wrong with the arguments of a call, naming the argument and what it should be; `None` if they fit.
    pub fn fault(&self, arguments: Value<'_>) -> Option<String> {
        match &self.0 {
            Kind::Rule(rule) => fault::of(rule, arguments),
            Kind::Whole(validator) => fault::of_whole(validator, &arguments.to_tree()),
        }
    }
}

#[cfg(test)]
mod tests;
