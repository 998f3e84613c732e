//! The aligner against counting.

use std::collections::BTreeMap;

use mentor::align::{self, Calls};
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

/// Aligns two lists of calls: as many pairs as counting allows, each call in one, exact pairs first.
pub fn check(data: &[u8]) {
    let (first, rest) = data.split_first().unwrap_or((&0, &[]));
    let (student, teacher) = rest.split_at(rest.len().min(usize::from(*first) % (MOST + 1)));
    let (student, teacher) = (List::new(student), List::new(teacher));
    let (mut out, mut taken) = (Vec::new(), vec![true; 3]);
    align::align(&student, &teacher, &mut out, &mut taken);
    let names = common(&student.counted(|call| call.0), &teacher.counted(|call| call.0));
    let same = common(&student.counted(|call| call.2 & 63), &teacher.counted(|call| call.2 & 63));
    assert_eq!(out.len(), names);
    assert_eq!(out.iter().filter(|found| found.exact).count(), same);
    assert!(out.windows(2).all(|pair| pair[0].reference < pair[1].reference), "{out:?}");
    let mut calls: Vec<usize> = out.iter().map(|found| found.call).collect();
    calls.sort_unstable();
    calls.dedup();
    assert_eq!(calls.len(), out.len(), "a call stands for two: {out:?}");
    for found in &out {
        let (call, wanted) = (&student.calls[found.call], &teacher.calls[found.reference]);
        assert_eq!((call.0, found.exact), (wanted.0, call.2 & 63 == wanted.2 & 63), "{found:?}");
    }
    let identical = student.calls.len() == teacher.calls.len()
        && student.calls.iter().zip(&teacher.calls).all(|(a, b)| a.2 & 63 == b.2 & 63);
    assert_eq!(align::identical(&student, &teacher), identical);
    let f1 = align::f1(student.calls.len(), teacher.calls.len(), out.len());
    assert!((0.0..=1.0).contains(&f1), "{f1}");
}
