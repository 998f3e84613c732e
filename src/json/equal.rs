//! Equality by value: 1 and 1.0 are equal, keys come in any order.

#![expect(clippy::float_cmp, reason = "equal means equal")]

use super::{Map, Node, Value};

/// Whether two texts are the same.
#[inline]
pub(crate) fn same_text(a: &str, b: &str) -> bool {
    same_bytes(a.as_bytes(), b.as_bytes())
}

/// The same of bytes. Most names and keys are short: then there is no call of memcmp.
#[inline]
pub(super) fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len()
        && match a.len() {
            0 => true,
            1..4 => (a[0], a[a.len() / 2], a[a.len() - 1]) == (b[0], b[b.len() / 2], b[b.len() - 1]),
            4..8 => a.first_chunk::<4>() == b.first_chunk() && a.last_chunk::<4>() == b.last_chunk(),
            8..=16 => a.first_chunk::<8>() == b.first_chunk() && a.last_chunk::<8>() == b.last_chunk(),
            _ => a == b,
        }
}

impl PartialEq for Value<'_> {
    #[inline]
    fn eq(&self, other: &Value<'_>) -> bool {
        match (*self, *other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::String(a), Value::String(b)) => same_text(a, b),
            (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(x, y)| x == y),
            (Value::Object(a), Value::Object(b)) => a == b,
            (a, b) => numbers_equal(a, b),
        }
    }
}

impl PartialEq for Map<'_> {
    #[inline]
    fn eq(&self, other: &Map<'_>) -> bool {
        if self.len() != other.len() {
            return false;
        }
        if self.has_same_nodes(*other) {
            return true;
        }
        // Most calls give their arguments in the same order: then one walk over both is enough.
        let in_order = self.entries().zip(other.entries());
        let mut same_keys = true;
        for ((a, x), (b, y)) in in_order {
            if !same_text(a, b) {
                same_keys = false;
                break;
            }
            if self.doc.value(x) != other.doc.value(y) {
                return false;
            }
        }
        same_keys || self.iter().all(|(key, x)| other.get(key).is_some_and(|y| x == y))
    }
}

impl Map<'_> {
    /// Whether two objects consist of the same nodes: then they are equal, as nearly all that are equal do.
    #[inline]
    fn has_same_nodes(self, other: Map<'_>) -> bool {
        let nodes = |map: Map<'_>| map.first as usize..map.end as usize;
        let (a, b) = (&self.doc.nodes[nodes(self)], &other.doc.nodes[nodes(other)]);
        a.len() == b.len()
            && a.iter().zip(b).all(|(a, b)| match (a, b) {
                (Node::Int(a), Node::Int(b)) => a == b,
                (Node::String(a), Node::String(b)) => {
                    a.len() == b.len() && same_bytes(self.doc.bytes(*a), other.doc.bytes(*b))
                }
                (Node::Float(a), Node::Float(b)) => a == b,
                (Node::Bool(a), Node::Bool(b)) => a == b,
                (Node::Null, Node::Null) => true,
                // Their items follow, as many on both sides.
                (Node::Array { len: a, .. }, Node::Array { len: b, .. })
                | (Node::Object { len: a, .. }, Node::Object { len: b, .. }) => a == b,
                _ => false,
            })
    }
}

fn numbers_equal(a: Value<'_>, b: Value<'_>) -> bool {
    match (a, b) {
        (Value::Int(a), Value::Float(b)) | (Value::Float(b), Value::Int(a)) => {
            // Every integral double below 2^63 is exact as an i128, so this compares by value.
            b.fract() == 0.0 && b.abs() < 1e19 && b as i128 == i128::from(a)
        }
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Big(a), Value::Big(b)) => a == b || finite(a).is_some_and(|a| finite(b) == Some(a)),
        (Value::Big(a), Value::Float(b)) | (Value::Float(b), Value::Big(a)) => finite(a) == Some(b),
        _ => false,
    }
}

/// A large number's double, where it has one. Integers beyond 64 bits are compared as doubles, as JavaScript does it; those
/// beyond the doubles by their text.
fn finite(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    (number.is_finite() && number != 0.0).then_some(number)
}
