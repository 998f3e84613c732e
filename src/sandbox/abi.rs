//! The canonical ABI by hand: strings into the guest's memory, records out of it.
//!
//! A guest may be damaged or hostile: every address and length is checked against its memory, every string is checked to be
//! UTF-8, and no more is copied than the caller has room for.

use wasmtime::{Result, bail};

/// Bytes of the guest.
pub(super) fn span(memory: &[u8], at: u32, len: usize) -> Result<&[u8]> {
    match memory.get(at as usize..).and_then(|rest| rest.get(..len)) {
        Some(bytes) => Ok(bytes),
        None => bail!("the guest names {len} bytes at {at}, beyond its memory"),
    }
}

/// Bytes of the guest, to write.
pub(super) fn span_mut(memory: &mut [u8], at: u32, len: usize) -> Result<&mut [u8]> {
    match memory.get_mut(at as usize..).and_then(|rest| rest.get_mut(..len)) {
        Some(bytes) => Ok(bytes),
        None => bail!("the guest names {len} bytes at {at}, beyond its memory"),
    }
}

pub(super) fn number(memory: &[u8], at: u32) -> Result<u32> {
    let bytes = span(memory, at, 4)?;
    Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// A list of numbers, of which address and length are at `at`.
pub(super) fn numbers(memory: &[u8], at: u32) -> Result<Vec<u32>> {
    let (start, len) = (number(memory, at)?, number(memory, at.wrapping_add(4))? as usize);
    let bytes = span(memory, start, len.saturating_mul(4))?;
    Ok(bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

/// A string, and whether it is whole: at most `most` bytes are copied.
fn string(memory: &[u8], at: u32, most: usize) -> Result<(String, bool)> {
    let (start, len) = (number(memory, at)?, number(memory, at.wrapping_add(4))? as usize);
    let bytes = span(memory, start, len)?;
    // Up to three bytes more, as a character may lie across the border.
    let part = &bytes[..len.min(most.saturating_add(3))];
    let text = match std::str::from_utf8(part) {
        Ok(text) => text,
        Err(error) if part.len() < len && error.error_len().is_none() => {
            std::str::from_utf8(&part[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => bail!("the guest sent a string that is no UTF-8"),
    };
    let whole = len <= most;
    let text = if whole { text } else { &text[..text.floor_char_boundary(most)] };
    Ok((text.to_owned(), whole))
}

fn optional<T>(memory: &[u8], at: u32, read: impl FnOnce(u32) -> Result<T>) -> Result<Option<T>> {
    match span(memory, at, 1)?[0] {
        0 => Ok(None),
        1 => read(at.wrapping_add(4)).map(Some),
        other => bail!("the guest sent an option that is neither none nor some: {other}"),
    }
}

/// What a guest answers: the record `answer` of `guest/wit/guest.wit`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// None also where it is too large; then `oversize` is set.
    pub value_json: Option<String>,
    pub value_repr: Option<String>,
    pub oversize: bool,
    pub fault: Option<GuestFault>,
}

/// The record `fault`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GuestFault {
    pub kind: String,
    pub type_name: String,
    pub message: String,
    pub traceback: String,
}

/// Reads the answer at `at`; `most`: bytes of the value's JSON that are wanted.
pub(super) fn answer(memory: &[u8], at: u32, most: usize) -> Result<Answer> {
    if !at.is_multiple_of(4) {
        bail!("the guest's answer lies at {at}, which is not aligned");
    }
    span(memory, at, 60)?;
    let value = optional(memory, at, |at| string(memory, at, most))?;
    let repr = optional(memory, at + 12, |at| string(memory, at, most.max(4096)))?;
    let fault = optional(memory, at + 24, |at| {
        Ok(GuestFault {
            kind: string(memory, at, 40)?.0,
            type_name: string(memory, at + 8, 200)?.0,
            message: string(memory, at + 16, 16_000)?.0,
            traceback: string(memory, at + 24, 64_000)?.0,
        })
    })?;
    let oversize = matches!(value, Some((_, false)));
    Ok(Answer {
        value_json: value.filter(|value| value.1).map(|value| value.0),
        value_repr: repr.map(|repr| repr.0),
        oversize,
        fault,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A memory of 256 bytes with an answer at 16: value `"7"`, no repr, no fault.
    fn memory() -> Vec<u8> {
        let mut memory = vec![0; 256];
        memory[16] = 1;
        memory[20..24].copy_from_slice(&200u32.to_le_bytes());
        memory[24..28].copy_from_slice(&3u32.to_le_bytes());
        memory[200..203].copy_from_slice("\"é".as_bytes());
        memory
    }

    #[test]
    fn reads_a_value() {
        let answer = answer(&memory(), 16, 100).unwrap();
        assert_eq!((answer.value_json.as_deref(), answer.oversize), (Some("\"é"), false));
    }

    #[test]
    fn too_large_a_value_is_left_out() {
        let answer = answer(&memory(), 16, 2).unwrap();
        assert_eq!((answer.value_json, answer.oversize), (None, true));
    }

    #[test]
    fn nonsense_is_refused() {
        let cases: [(usize, &[u8]); 5] =
            [(16, &[2]), (20, &[255; 4]), (24, &[255; 4]), (24, &[57, 0, 0, 0]), (200, &[0xff])];
        for (at, bytes) in cases {
            let mut memory = memory();
            memory[at..at + bytes.len()].copy_from_slice(bytes);
            assert!(answer(&memory, 16, 100).is_err(), "{at} {bytes:?}");
        }
        for at in [17, 200, 4_294_967_292] {
            assert!(answer(&memory(), at, 100).is_err(), "{at}");
        }
    }

    #[test]
    fn a_character_across_the_border_is_dropped_whole() {
        assert_eq!(string(&memory(), 20, 2).unwrap(), ("\"".to_owned(), false));
    }
}

#[cfg(test)]
#[path = "abi_tests.rs"]
mod properties;
