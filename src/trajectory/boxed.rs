//! `\boxed{...}` in one pass.

use memchr::{memchr_iter, memchr3_iter};

use super::Span;
use crate::bytes::trimmed;

const BOXED: &[u8] = b"\\boxed";

/// Where the first `\boxed` stands. Backslashes are rare in most texts, so this beats a general search.
pub(super) fn first_box(bytes: &[u8]) -> Option<usize> {
    memchr_iter(b'\\', bytes).find(|at| bytes[*at..].starts_with(BOXED))
}

/// The boxes of a turn; keeps its memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Boxes {
    /// For each open brace: the box that it belongs to, if any.
    open: Vec<Option<usize>>,
    /// Start and, once it is closed, end of each box's content, in the order of opening.
    found: Vec<(usize, Option<usize>)>,
}

/// The box that holds the answer.
pub(super) struct Found {
    /// Its content.
    pub span: Span,
    /// Whether another box holds something else.
    pub several: bool,
}

impl Boxes {
    /// Finds the boxes in some ranges of a text. A box does not reach from one range into the next.
    pub(super) fn find(&mut self, text: &str, ranges: &[Span]) {
        self.found.clear();
        for range in ranges {
            self.find_in(text, *range);
        }
    }

    /// The last closed box.
    pub(super) fn answer(&self, text: &str) -> Option<Found> {
        let last = self.closed().next_back()?;
        let content = |span: Span| trimmed(&text[span.start..span.end]);
        let answer = content(last);
        let around = |span: &Span| span.start <= last.start && last.end <= span.end;
        let several = self.closed().any(|span| !around(&span) && content(span) != answer);
        Some(Found { span: last, several })
    }

    fn closed(&self) -> impl DoubleEndedIterator<Item = Span> {
        self.found.iter().filter_map(|(start, end)| end.map(|end| Span::new(*start, end)))
    }

    fn find_in(&mut self, text: &str, range: Span) {
        let bytes = &text.as_bytes()[range.start..range.end];
        let Some(first) = first_box(bytes) else { return };
        self.open.clear();
        let mut boxed_brace = None; // position of a brace that opens a box
        let mut skip = None; // position escaped by a backslash
        let before = self.found.len();
        // Braces before the first box say nothing of it, but a backslash just before it may escape its own.
        let from = first - bytes[..first].iter().rev().take_while(|byte| **byte == b'\\').count();
        for at in memchr3_iter(b'\\', b'{', b'}', &bytes[from..]).map(|at| from + at) {
            if skip == Some(at) {
                continue;
            }
            match bytes[at] {
                b'\\' => {
                    skip = Some(at + 1);
                    if bytes[at..].starts_with(BOXED) {
                        let after = at + BOXED.len();
                        let blanks = bytes[after..].iter().take(16).take_while(|b| b.is_ascii_whitespace()).count();
                        boxed_brace = (bytes.get(after + blanks) == Some(&b'{')).then_some(after + blanks);
                    }
                }
                b'{' => {
                    if boxed_brace == Some(at) {
                        self.found.push((range.start + at + 1, None));
                        self.open.push(Some(self.found.len() - 1));
                    } else if self.found.len() > before {
                        self.open.push(None);
                    }
                }
                _ => {
                    if let Some(Some(index)) = self.open.pop() {
                        self.found[index].1 = Some(range.start + at);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(text: &str) -> Vec<&str> {
        let mut boxes = Boxes::default();
        boxes.find(text, &[Span::new(0, text.len())]);
        boxes.closed().map(|s| &text[s.start..s.end]).collect()
    }

    #[test]
    fn finds_nested_escaped_and_repeated_boxes() {
        assert_eq!(contents(r"so $\boxed{24}$."), ["24"]);
        assert_eq!(contents(r"\boxed{\frac{1}{2}} and \boxed {x}"), [r"\frac{1}{2}", "x"]);
        assert_eq!(contents(r"\boxed{\{1, 2\}}"), [r"\{1, 2\}"]);
        assert_eq!(contents(r"\boxed{a \boxed{b}}"), [r"a \boxed{b}", "b"]);
        assert_eq!(contents(r"\boxed{a \boxed{b}"), ["b"]);
        assert_eq!(contents(r"} } \boxed{3}"), ["3"]);
        assert_eq!(contents(r"\boxed{}"), [""]);
        assert_eq!(contents(r"\\boxed{1} \boxed"), Vec::<&str>::new());
        assert_eq!(contents(r"\boxed{1"), Vec::<&str>::new());
    }

    #[test]
    fn unclosed_boxes_take_linear_time() {
        let text = r"\boxed{".repeat(500_000);
        assert!(contents(&text).is_empty());
    }
}
