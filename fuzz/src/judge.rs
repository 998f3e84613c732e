//! The native judge of answers.

use mentor::answer::{Gold, Verdict};

use crate::halves;

/// Judges two texts, split at the first NUL byte: an answer is equal to itself, white space around it is nothing, and no
/// order of the two says equal where the other says different.
pub fn check(data: &[u8]) {
    let (a, b) = halves(data);
    let (a, b) = (String::from_utf8_lossy(a), String::from_utf8_lossy(b));
    let (gold_a, gold_b) = (Gold::new(&a), Gold::new(&b));
    for (text, gold) in [(&a, &gold_a), (&b, &gold_b)] {
        assert_eq!(gold.text(), text.trim());
        let itself = if text.trim().is_empty() { Verdict::Different } else { Verdict::Equal };
        assert_eq!(gold.judge(text), itself, "{text:?} and itself");
    }
    let verdict = gold_a.judge(&b);
    assert_eq!(gold_a.judge(&b), verdict, "asked twice");
    assert_eq!(Gold::new(&format!(" {a}\n")).judge(&format!("\t{b} ")), verdict, "white space around {a:?}, {b:?}");
    let reverse = gold_b.judge(&a);
    let contradiction = [(Verdict::Equal, Verdict::Different), (Verdict::Different, Verdict::Equal)];
    let empty = a.trim().is_empty() || b.trim().is_empty();
    assert!(empty || !contradiction.contains(&(verdict, reverse)), "{a:?}, {b:?}: {verdict:?}, reversed {reverse:?}");
    assert!(!empty || verdict != Verdict::Equal, "{a:?}, {b:?}: an empty answer is equal");
}
