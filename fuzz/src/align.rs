//! The aligner: assignments against trying them all, matches by name against counting.

use std::cell::RefCell;
use std::collections::BTreeMap;

use mentor::align::assignment::{Pair, Scratch, assign};
use mentor::align::{self, Calls, NameScratch, naive};
use mentor::json::{Doc, Id, Map};

/// At most so many calls on a side.
const MOST: usize = 24;

struct List {
    doc: Doc,
    calls: Vec<(&'static str, Id, u8)>,
}

impl List {
    /// One call per byte: two bits of name, two of argument, one of how the argument is written.
    fn new(bytes: &[u8]) -> Self {
        const NAMES: [&str; 4] = ["add", "mul", "", "ä"];
        let mut doc = Doc::default();
        let calls = bytes.iter().take(MOST).map(|byte| {
            let value = byte >> 2 & 3;
            let mut object = doc.begin_object();
            doc.key(&mut object, if byte & 32 == 0 { "a" } else { "b" });
            if byte & 16 == 0 {
                doc.add_int(value.into());
            } else {
                doc.add_float(value.into());
            }
            (NAMES[usize::from(byte & 3)], doc.end_object(&object), byte & !16)
        });
        let calls = calls.collect();
        Self { doc, calls }
    }

    /// How many calls there are of each kind.
    fn counted<K: Ord>(&self, key: impl Fn(&(&'static str, Id, u8)) -> K) -> BTreeMap<K, usize> {
        let mut counts = BTreeMap::new();
        for call in &self.calls {
            *counts.entry(key(call)).or_default() += 1;
        }
        counts
    }
}

impl Calls for List {
    fn len(&self) -> usize {
        self.calls.len()
    }
    fn name(&self, at: usize) -> &str {
        self.calls[at].0
    }
    fn arguments(&self, at: usize) -> Map<'_> {
        self.doc.map(self.calls[at].1).expect("an object")
    }
}

/// The greatest number of pairs where each call pairs with one of its own kind.
fn common<K: Ord>(a: &BTreeMap<K, usize>, b: &BTreeMap<K, usize>) -> usize {
    a.iter().map(|(kind, count)| *count.min(b.get(kind).unwrap_or(&0))).sum()
}

/// Counts two lists' matches, or assigns by a matrix of weights; which of them, the first byte says.
pub fn check(data: &[u8]) {
    let (first, rest) = data.split_first().unwrap_or((&0, &[]));
    let size = usize::from(first >> 1);
    if first % 2 == 0 {
        counts(rest, size % (MOST + 1));
    } else {
        assignment(rest, 1 + size % WIDE, 1 + size / WIDE % WIDE);
    }
}

/// As many matches as counting allows.
fn counts(bytes: &[u8], calls: usize) {
    let (student, teacher) = bytes.split_at(bytes.len().min(calls));
    let (student, teacher) = (List::new(student), List::new(teacher));
    let found = align::count_names(&student, &teacher, &mut NameScratch::default());
    let names = common(&student.counted(|call| call.0), &teacher.counted(|call| call.0));
    let same = common(&student.counted(|call| call.2 & 63), &teacher.counted(|call| call.2 & 63));
    assert_eq!(found, (names, same));
    let identical = student.calls.len() == teacher.calls.len()
        && student.calls.iter().zip(&teacher.calls).all(|(a, b)| a.2 & 63 == b.2 & 63);
    assert_eq!(align::identical(&student, &teacher), identical);
    let f1 = align::f1(student.calls.len(), teacher.calls.len(), names);
    assert!((0.0..=1.0).contains(&f1), "{f1}");
}

/// More rows or columns than the naive version takes.
const WIDE: usize = 11;

thread_local! {
    /// Buffers that earlier matrices used.
    static USED: RefCell<Scratch> = RefCell::default();
}

/// The naive version's pairs for small matrices; for all of them no less than the transposed matrix gives. Weights are
/// sixteenths, which floats add without rounding.
fn assignment(bytes: &[u8], n: usize, m: usize) {
    let weight = |at: usize| f64::from(bytes.get(at).map_or(0, |byte| byte % 17)) / 16.0;
    let weights: Vec<f64> = (0..n * m).map(weight).collect();
    let turned: Vec<f64> = (0..n * m).map(|at| weights[at % n * m + at / n]).collect();
    let found = USED.with_borrow_mut(|scratch| assign(&weights, n, m, scratch).to_vec());
    let across = assign(&turned, m, n, &mut Scratch::default()).to_vec();
    if let Some(wanted) = naive::assign(&weights, n, m) {
        assert_eq!(found, wanted, "{n} by {m}: {weights:?}");
    }
    let sum = |pairs: &[Pair], weights: &[f64], m: usize| -> f64 {
        pairs.iter().map(|pair| weights[pair.reference * m + pair.call]).sum()
    };
    assert_eq!(sum(&found, &weights, m).to_bits(), sum(&across, &turned, n).to_bits(), "{n} by {m}: {weights:?}");
    let mut calls: Vec<usize> = found.iter().map(|pair| pair.call).collect();
    calls.sort_unstable();
    calls.dedup();
    assert_eq!(calls.len(), found.len(), "a call stands for two: {found:?}");
    assert!(found.windows(2).all(|pair| pair[0].reference < pair[1].reference), "{found:?}");
}
