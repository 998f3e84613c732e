//! Quick ways with bytes: found sixteen at a time, white space around a text.

/// Bit n: byte n is `a` or `b`.
#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
#[expect(unsafe_code, clippy::cast_possible_wrap, clippy::cast_sign_loss, clippy::cast_possible_truncation)]
#[inline(always)]
pub(crate) fn places_of(a: u8, b: u8, bytes: &[u8; 16]) -> u16 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8};

    // SAFETY: SSE2 is there, see above; sixteen bytes are read, aligned or not.
    let places = unsafe {
        let bytes = _mm_loadu_si128(bytes.as_ptr().cast());
        let (a, b) = (_mm_set1_epi8(a as i8), _mm_set1_epi8(b as i8));
        _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(bytes, a), _mm_cmpeq_epi8(bytes, b)))
    };
    places as u16
}

/// Bit n: byte n is `a` or `b`.
#[cfg(not(all(target_arch = "x86_64", target_feature = "sse2")))]
#[inline]
pub(crate) fn places_of(a: u8, b: u8, bytes: &[u8; 16]) -> u16 {
    bytes.iter().rev().fold(0, |places, byte| places << 1 | u16::from(*byte == a || *byte == b))
}

/// A text without the white space around it. Nearly always there is none, or one line end on either side.
#[inline]
pub(crate) fn trimmed(text: &str) -> &str {
    let inner = text.strip_prefix('\n').unwrap_or(text);
    let inner = inner.strip_suffix('\n').unwrap_or(inner);
    match inner.as_bytes() {
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => inner,
        _ => text.trim(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_bytes() {
        for at in 0..16 {
            for other in 0..16 {
                let mut bytes = [b'.'; 16];
                bytes[at] = 0xFF;
                bytes[other] = b'"';
                let want = (0..16).filter(|n| matches!(bytes[*n], 0xFF | b'"')).fold(0, |places, n| places | 1 << n);
                assert_eq!(places_of(b'"', 0xFF, &bytes), want, "{at} {other}");
            }
        }
    }

    #[test]
    fn trimming_is_that_of_the_standard_library() {
        for inner in ["", "7", "a b", "\u{3000}x", "é", "\\"] {
            for around in ["", "\n", "\n\n", " ", "\n ", "\u{a0}", "\u{b}\n"] {
                for text in [format!("{around}{inner}{around}"), format!("{inner}{around}"), format!("{around}{inner}")]
                {
                    assert_eq!(trimmed(&text), text.trim(), "{text:?}");
                }
            }
        }
    }
}
