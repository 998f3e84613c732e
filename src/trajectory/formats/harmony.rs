//! Harmony's messages: a header says who speaks, to whom, on which channel.

use super::Source;
use super::named;
use crate::trajectory::Trajectory;
use crate::trajectory::tags::Role;

const MESSAGE: &str = "<|message|>";
const CALL: &str = "<|call|>";

/// A message's header.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::trajectory) struct Header<'a> {
    pub role: Role,
    /// The tool that the message calls.
    pub recipient: Option<&'a str>,
    /// Whether the message is a thought.
    pub thought: bool,
    /// Where the message's text begins.
    pub body: usize,
}

impl<'a> Header<'a> {
    /// Reads the header that stands at `at`, behind `<|start|>`, or, where the prompt holds its beginning, the rest of an
    /// assistant's. `None` where none is complete there.
    pub(in crate::trajectory) fn read(text: &'a str, at: usize, opened: bool) -> Option<Self> {
        const LONGEST: usize = 512;
        let near = &text.as_bytes()[at..text.len().min(at + LONGEST)];
        let mut allowed = ["<|channel|>", "<|constrain|>"].as_slice();
        let mut length = 0;
        loop {
            length += memchr::memchr(b'<', &near[length..])?;
            let tag = &near[length..];
            if tag.starts_with(MESSAGE.as_bytes()) {
                break;
            }
            // Each once and in this order: any other tag begins something else.
            let known = allowed.iter().position(|known| tag.starts_with(known.as_bytes()))?;
            length += allowed[known].len();
            allowed = &allowed[known + 1..];
        }
        let header = &text[at..at + length];
        let (who, channel) = header.split_once("<|channel|>").unwrap_or((header, ""));
        let word = |text: &'a str| text.split([' ', '\n', '<']).next().unwrap_or("");
        let recipient = [who, channel].into_iter().find_map(|part| {
            let (before, name) = part.split_once("to=")?;
            (before.is_empty() || before.ends_with(' ')).then(|| word(name))
        });
        let role = match word(who) {
            _ if opened && !is_plain(who) => return None,
            "assistant" => Role::Assistant,
            _ if opened => Role::Assistant,
            "user" | "system" | "developer" => Role::Environment,
            _ => Role::Tool,
        };
        let recipient = recipient.filter(|name| !name.is_empty() && role == Role::Assistant && *name != "user");
        let thought = word(channel) == "analysis" && recipient.is_none();
        Some(Self { role, recipient, thought, body: at + length + MESSAGE.len() })
    }
}

/// Whether what stands before the channel is no more than a recipient.
fn is_plain(who: &str) -> bool {
    let who = who.trim();
    who.is_empty() || (who.starts_with("to=") && !who.contains(char::is_whitespace)) || who.starts_with("assistant")
}

/// Reads the call that a message makes to `recipient`: the JSON of its arguments.
pub(in crate::trajectory) fn read(source: Source<'_>, recipient: &str, out: &mut Trajectory) -> usize {
    let name = recipient.strip_prefix("functions.").unwrap_or(recipient);
    let begin = source.skip_blanks(source.body);
    if source.rest(begin).starts_with(CALL) {
        // No arguments at all.
        let call = (out.doc.add_str(name), out.doc.add_empty_object());
        named::finish(source, Ok(call), begin + CALL.len(), out);
        return begin;
    }
    let Some((call, after)) = named::arguments(source, name, source.body, out) else { return source.body };
    let end = source.skip_blanks(after);
    if source.rest(end).starts_with(CALL) {
        named::finish(source, call, end + CALL.len(), out);
        return end; // the tag ends the message, too
    }
    if source.ends_at(end) {
        return named::finish(source, call, after, out);
    }
    super::json_block::not_closed(source, after, end, CALL, out);
    after
}
