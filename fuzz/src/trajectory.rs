//! What holds for every trajectory, whatever it was read from.

use mentor::trajectory::{MAX_DEFECTS, Span, Trajectory};

/// Checks one trajectory. `inside` says whether a span lies within the text that it points into.
pub fn check(t: &Trajectory, inside: impl Fn(Span, usize) -> bool) {
    let last_turn = t.turns.len().saturating_sub(1);
    for turn in &t.turns {
        assert!(turn.span.start <= turn.span.end, "{turn:?}");
    }
    let results: usize = t.turns.iter().map(|turn| turn.results).sum();
    assert_eq!(results, t.results.len(), "results by turn");
    let mut turn = 0;
    for (at, call) in t.calls.iter().enumerate() {
        assert!(turn <= call.turn && call.turn <= last_turn, "{call:?}");
        turn = call.turn;
        assert!(!t.name(call).is_empty(), "{call:?}");
        assert!(t.doc.map(call.arguments).is_some(), "{call:?}");
        assert!(t.doc.value(call.arguments).to_tree().is_object(), "{call:?}");
        assert!(call.ordinal < t.turns[call.turn].attempts, "{call:?} of {:?}", t.turns[call.turn]);
        if let Some(span) = call.span {
            assert!(inside(span, call.turn), "{call:?}");
            assert!(span.start < span.end, "{call:?}");
            // A call may begin before its turn's text: some formats name the tool in the turn's header.
            assert!(t.turns[call.turn].span.start < span.end, "{call:?} of {:?}", t.turns[call.turn]);
        }
        if let Some(result) = call.result {
            assert_eq!(t.results[result].call, Some(at), "{call:?}");
            assert_eq!(t.results[result].turn, call.turn, "{call:?}");
        }
    }
    let mut turn = 0;
    for (at, result) in t.results.iter().enumerate() {
        assert!(turn <= result.turn && result.turn <= last_turn, "{result:?}");
        turn = result.turn;
        let text = t.doc.str(result.text);
        assert_eq!(text, text.trim());
        if let Some(call) = result.call {
            assert_eq!(t.calls[call].result, Some(at), "{result:?}");
        }
    }
    if let Some(answer) = t.answer_text() {
        assert_eq!(answer, answer.trim());
        assert!(t.answer.is_some_and(|answer| inside(answer.span, last_turn)), "{:?}", t.answer);
    }
    assert!(t.defects.len() <= MAX_DEFECTS);
    let counted: usize = t.counts.iter().map(|count| *count as usize).sum();
    assert_eq!(counted.min(MAX_DEFECTS), t.defects.len(), "{:?}", t.counts);
    for defect in &t.defects {
        assert!(t.count(defect.kind) > 0, "{defect:?}");
        assert!(defect.span.is_none_or(|span| span.start <= span.end), "{defect:?}");
    }
}

/// Checks that two trajectories say the same, whatever their memory was used for before.
pub fn check_same(a: &Trajectory, b: &Trajectory) {
    assert_eq!(a.doc, b.doc);
    assert_eq!(a.turns, b.turns);
    assert_eq!(a.calls, b.calls);
    assert_eq!(a.results, b.results);
    assert_eq!(a.answer, b.answer);
    assert_eq!(a.defects, b.defects);
    assert_eq!((a.finished, a.counts, a.bad_calls), (b.finished, b.counts, b.bad_calls));
}
