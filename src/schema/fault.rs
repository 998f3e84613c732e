//! Why arguments break a schema, in words.

use jsonschema::Validator;
use serde_json::Value as Tree;

use super::rule::{Additional, Lengths, Rule, Types, order};
use crate::json::Value;

/// Longer texts of a model or a schema are cut.
const MAX_QUOTE: usize = 120;

/// What is wrong with the arguments; `None` if they fit.
pub(super) fn of(rule: &Rule, arguments: Value<'_>) -> Option<String> {
    if rule.fits(arguments) { None } else { Some(find(rule, arguments, &mut Path::default())) }
}

/// The same by the crate.
pub(super) fn of_whole(validator: &Validator, arguments: &Tree) -> Option<String> {
    let error = validator.iter_errors(arguments).next()?;
    let path = error.instance_path().to_string();
    let path = path.trim_start_matches('/').replace('/', ".");
    let subject = if path.is_empty() { "the arguments".to_owned() } else { format!("argument `{}`", cut(&path)) };
    Some(format!("{subject}: {}", cut(&error.to_string())))
}

/// Where in the arguments.
#[derive(Default)]
struct Path(String);

impl Path {
    fn subject(&self) -> String {
        if self.0.is_empty() { "the arguments".to_owned() } else { format!("argument `{}`", cut(&self.0)) }
    }

    fn key(&self, key: &str) -> Self {
        Self(if self.0.is_empty() { key.to_owned() } else { format!("{}.{key}", self.0) })
    }
}

/// The first fault of a value that does not fit.
fn find(rule: &Rule, value: Value<'_>, path: &mut Path) -> String {
    let subject = path.subject();
    if !rule.has_type(value) {
        return match types(rule.types) {
            Some(types) => format!("{subject} must be {types}, not {}", kind(value)),
            None => format!("{subject} must not be given"),
        };
    }
    if let Some(values) = &rule.values
        && !values.iter().any(|known| known == value)
    {
        let mut list = String::new();
        for known in values.iter().take(16) {
            list.push_str(if list.is_empty() { "" } else { ", " });
            known.write(&mut list);
        }
        return format!("{subject} must be one of {}", cut(&list));
    }
    if let Some(message) = limits(rule, value, &subject) {
        return message;
    }
    let inner = match value {
        Value::Object(map) => {
            let missing = rule.properties.iter().find(|known| known.required && map.get(&known.name).is_none());
            let unfit = |key: &str, value: Value<'_>| {
                let known = rule.properties.iter().find(|known| &*known.name == key);
                match (known.and_then(|known| known.rule.as_ref()), &rule.additional) {
                    (Some(rule), _) => (!rule.fits(value)).then(|| find(rule, value, &mut path.key(key))),
                    (None, Additional::Any) => None,
                    (None, Additional::None) => Some(format!("{} is not known", path.key(key).subject())),
                    (None, Additional::Rule(rule)) => {
                        (!rule.fits(value)).then(|| find(rule, value, &mut path.key(key)))
                    }
                }
            };
            let missing = missing.map(|known| match known.rule.as_ref().and_then(|rule| types(rule.types)) {
                Some(types) => format!("{} is missing: it must be {types}", path.key(&known.name).subject()),
                None => format!("{} is missing", path.key(&known.name).subject()),
            });
            missing.or_else(|| map.iter().find_map(|(key, value)| unfit(key, value)))
        }
        Value::Array(list) => rule.items.as_ref().and_then(|rule| {
            let (at, item) = list.iter().enumerate().find(|(_, item)| !rule.fits(*item))?;
            Some(find(rule, item, &mut Path(format!("{}[{at}]", path.0))))
        }),
        _ => None,
    };
    inner
        .or_else(|| rule.all_of.iter().find(|rule| !rule.fits(value)).map(|rule| find(rule, value, path)))
        .unwrap_or_else(|| match rule.any_of.iter().map(|rule| types(rule.types)).collect::<Option<Vec<_>>>() {
            Some(shapes) if !rule.any_of.iter().any(|rule| rule.has_type(value)) => {
                format!("{subject} must be {}, not {}", shapes.join(" or "), kind(value))
            }
            _ => format!("{subject} has none of the allowed shapes"),
        })
}

fn limits(rule: &Rule, value: Value<'_>, subject: &str) -> Option<String> {
    let limits = rule.limits.as_ref()?;
    let lengths = |lengths: Lengths, length: usize, what: &str| {
        let least = lengths.least.filter(|least| length < *least).map(|least| ("least", least));
        let (which, limit) = least.or_else(|| lengths.most.filter(|most| length > *most).map(|most| ("most", most)))?;
        Some(format!("{subject} must have at {which} {limit} {what}, not {length}"))
    };
    match value {
        Value::String(text) => lengths(limits.text, text.chars().count(), "characters"),
        Value::Array(list) => lengths(limits.items, list.len(), "items"),
        Value::Object(map) => lengths(limits.properties, map.len(), "keys"),
        Value::Null | Value::Bool(_) => None,
        _ => {
            let breaks = |bound: Option<f64>, fits: fn(std::cmp::Ordering) -> bool| {
                bound.filter(|bound| !order(value, *bound).is_some_and(fits))
            };
            let wanted = breaks(limits.minimum, std::cmp::Ordering::is_ge)
                .map(|bound| format!("at least {bound}"))
                .or_else(|| breaks(limits.maximum, std::cmp::Ordering::is_le).map(|bound| format!("at most {bound}")))
                .or_else(|| breaks(limits.above, std::cmp::Ordering::is_gt).map(|bound| format!("above {bound}")))
                .or_else(|| breaks(limits.below, std::cmp::Ordering::is_lt).map(|bound| format!("below {bound}")));
            wanted.map(|wanted| format!("{subject} must be {wanted}"))
        }
    }
}

/// "a number or null"; `None` where no value fits.
fn types(types: Types) -> Option<String> {
    let names = Types::NAMES.iter().filter(|(_, bit)| types.0 & bit != 0);
    let with_article = |name: &str| match name {
        "null" => name.to_owned(),
        "integer" | "array" | "object" => format!("an {name}"),
        _ => format!("a {name}"),
    };
    let names: Vec<String> = names.map(|(name, _)| with_article(name)).collect();
    (!names.is_empty()).then(|| names.join(" or "))
}

fn kind(value: Value<'_>) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Int(_) => "an integer",
        Value::Float(_) | Value::Big(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn cut(text: &str) -> String {
    if text.len() <= MAX_QUOTE {
        return text.to_owned();
    }
    let end = (0..=MAX_QUOTE).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}...", &text[..end])
}
