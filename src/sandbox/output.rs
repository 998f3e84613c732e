//! Output as it leaves the guest, for a caller who listens.

use std::sync::Arc;

/// One of the two pipes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// The name that Python shows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Hears the output of a step: whole characters, in order. What it heard is the outcome's text in the end.
pub trait Listener: Send + Sync {
    /// Takes text and returns at once; the guest does not go on meanwhile.
    fn hear(&self, stream: Stream, text: String);
}

/// Cuts bytes into whole characters.
pub(super) struct Tap {
    listener: Arc<dyn Listener>,
    /// The beginning of a character, of each stream.
    begun: [Vec<u8>; 2],
}

impl Tap {
    pub fn new(listener: Arc<dyn Listener>) -> Self {
        Self { listener, begun: [Vec::new(), Vec::new()] }
    }

    /// Passes on what is whole. Bytes that are no UTF-8 become what they are in the outcome.
    pub fn feed(&mut self, stream: Stream, bytes: &[u8]) {
        let begun = &mut self.begun[stream as usize];
        begun.extend_from_slice(bytes);
        let kept = match begun.utf8_chunks().last() {
            Some(last) if is_begun(last.invalid()) => last.invalid().len(),
            _ => 0,
        };
        let rest = begun.split_off(begun.len() - kept);
        self.pass(stream, rest);
    }

    /// Passes on what never became whole.
    pub fn finish(&mut self) {
        self.pass(Stream::Stdout, Vec::new());
        self.pass(Stream::Stderr, Vec::new());
    }

    fn pass(&mut self, stream: Stream, rest: Vec<u8>) {
        let bytes = std::mem::replace(&mut self.begun[stream as usize], rest);
        if !bytes.is_empty() {
            self.listener.hear(stream, super::faults::text(bytes));
        }
    }
}

/// Whether more bytes could make it a character.
fn is_begun(bytes: &[u8]) -> bool {
    !bytes.is_empty() && std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Ear(Mutex<Vec<(Stream, String)>>);

    impl Listener for Ear {
        fn hear(&self, stream: Stream, text: String) {
            self.0.lock().expect("no panic").push((stream, text));
        }
    }

    fn heard(parts: &[(Stream, &[u8])]) -> Vec<(Stream, String)> {
        let ear = Arc::<Ear>::default();
        let mut tap = Tap::new(Arc::clone(&ear) as _);
        for (stream, bytes) in parts {
            tap.feed(*stream, bytes);
        }
        tap.finish();
        std::mem::take(&mut ear.0.lock().expect("no panic"))
    }

    #[test]
    fn characters_stay_whole() {
        let euro = "a€".as_bytes();
        let parts = [(Stream::Stdout, &euro[..2]), (Stream::Stderr, b"x".as_slice()), (Stream::Stdout, &euro[2..])];
        let expected = [(Stream::Stdout, "a"), (Stream::Stderr, "x"), (Stream::Stdout, "€")];
        assert_eq!(heard(&parts), expected.map(|(stream, text)| (stream, text.to_owned())));
    }

    #[test]
    fn what_never_becomes_whole_comes_at_the_end() {
        assert_eq!(heard(&[(Stream::Stdout, b"\xe2\x82")]), [(Stream::Stdout, "\u{fffd}".to_owned())]);
    }

    proptest! {
        #[test]
        fn the_parts_are_the_whole(
            parts in prop::collection::vec(
                prop::collection::vec(prop::sample::select(b"a\x80\xc3\xa9\xe2\x82\xac\xf0\x9f\x92\xa9\xff\xed\xa0".to_vec()), 0..9),
                0..9,
            ),
        ) {
            let pieces: Vec<_> = parts.iter().map(|part| (Stream::Stderr, part.as_slice())).collect();
            let text: String = heard(&pieces).into_iter().map(|(_, text)| text).collect();
            prop_assert_eq!(text, String::from_utf8_lossy(&parts.concat()).into_owned());
        }
    }
}
