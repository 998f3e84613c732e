//! `\boxed{...}` in one pass.

use memchr::memchr3_iter;

use super::Span;

const BOXED: &[u8] = b"\\boxed";

/// The closed boxes in `text[range]`, in the order of their opening: spans of the contents.
pub(super) fn boxes(text: &str, range: Span) -> Vec<Span> {
    let bytes = &text.as_bytes()[range.start..range.end];
    let mut open: Vec<Option<usize>> = Vec::new(); // for each open brace: the box that it belongs to, if any
    let mut found: Vec<(usize, Option<usize>)> = Vec::new(); // content start, content end once closed
    let mut boxed_brace = None; // position of a brace that opens a box
    let mut skip = None; // position escaped by a backslash
    for at in memchr3_iter(b'\\', b'{', b'}', bytes) {
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
                    found.push((at + 1, None));
                    open.push(Some(found.len() - 1));
                } else if !found.is_empty() {
                    open.push(None);
                }
            }
            _ => {
                if let Some(Some(index)) = open.pop() {
                    found[index].1 = Some(at);
                }
            }
        }
    }
    found
        .into_iter()
        .filter_map(|(start, end)| end.map(|end| Span::new(range.start + start, range.start + end)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(text: &str) -> Vec<&str> {
        boxes(text, Span::new(0, text.len())).into_iter().map(|s| &text[s.start..s.end]).collect()
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
