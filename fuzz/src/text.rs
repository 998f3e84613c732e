//! Rollouts as text, in every format.

use std::cell::RefCell;
use std::sync::OnceLock;

use mentor::batch::Rollout;
use mentor::tools::Tools;
use mentor::trajectory::{Format, Options, Span, Trajectory, parse_text};
use serde_json::json;

use crate::trajectory;

/// Tools whose parameters have every type: they decide how formats without types read an argument.
pub(crate) fn tools() -> &'static Tools {
    static TOOLS: OnceLock<Tools> = OnceLock::new();
    TOOLS.get_or_init(|| {
        let properties = json!({
            "a": {"type": "integer"}, "b": {"type": "number"}, "x": {"type": "string"}, "on": {"type": "boolean"},
            "items": {"type": "array"}, "o": {"type": "object"}, "any": {},
        });
        let schema = json!({"type": "object", "properties": properties});
        let tools = json!([{"name": "f", "parameters": schema}, {"name": "add", "parameters": schema}, "g"]);
        Tools::from_value(&tools).expect("tools")
    })
}

thread_local! {
    /// Trajectories that earlier inputs used: a new rollout must not see them.
    static USED: RefCell<Trajectory> = RefCell::default();
}

/// Reads a text in every format, with schemas or without: total, spans within the text, the same in used memory.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let inside = |span: Span| text.get(span.start..span.end).is_some();
    let tools = data.len().is_multiple_of(2).then(tools);
    for format in Format::ALL {
        let options = Options { format, tools };
        let mut fresh = Trajectory::default();
        parse_text(&text, &options, &mut fresh);
        trajectory::check(&fresh, |span, _| inside(span));
        assert!(fresh.turns.iter().all(|turn| inside(turn.span)), "{:?}", fresh.turns);
        assert!(fresh.defects.iter().all(|defect| defect.span.is_none_or(inside)), "{:?}", fresh.defects);
        assert!(fresh.results.iter().all(|result| result.span.is_none_or(inside)), "{:?}", fresh.results);
        for result in &fresh.results {
            let span = result.span.expect("results of a text have spans");
            assert_eq!(fresh.doc.str(result.text), text[span.start..span.end].trim());
        }
        if let Some(answer) = fresh.answer {
            assert_eq!(fresh.doc.str(answer.text), text[answer.span.start..answer.span.end].trim());
        }
        USED.with_borrow_mut(|used| {
            parse_text(&text, &options, used);
            trajectory::check_same(&fresh, used);
            Rollout::Bytes(data).parse(&options, used);
            assert_eq!(used.calls, fresh.calls);
        });
    }
}
