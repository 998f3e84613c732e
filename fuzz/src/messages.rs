//! Rollouts as message lists.

use std::cell::RefCell;

use mentor::batch::Rollout;
use mentor::trajectory::{Format, Options, Trajectory, parse_messages};

use crate::text::tools;
use crate::trajectory;

thread_local! {
    static USED: RefCell<Trajectory> = RefCell::default();
}

/// Reads message lists in every format: total, spans within their message's text, the same in used memory.
pub fn check(data: &[u8]) {
    let tools = data.len().is_multiple_of(2).then(tools);
    for format in Format::ALL {
        let options = Options { format, tools };
        let mut fresh = Trajectory::default();
        parse_messages(data, &options, &mut fresh);
        trajectory::check(&fresh, |span, turn| span.end <= fresh.turns[turn].span.end);
        assert!(fresh.turns.iter().all(|turn| turn.message.is_some()), "{:?}", fresh.turns);
        assert!(fresh.results.iter().all(|result| result.message.is_some()), "{:?}", fresh.results);
        USED.with_borrow_mut(|used| {
            parse_messages(data, &options, used);
            trajectory::check_same(&fresh, used);
            Rollout::Messages(data).parse(&options, used);
        });
    }
}
