//! Whatever a guest's memory holds, reading an answer gives an answer or an error, bounded by what the host asked for.

use super::*;
use proptest::prelude::*;

fn whole(text: &str, most: usize) -> (String, bool) {
    (text[..text.floor_char_boundary(most)].to_owned(), text.len() <= most)
}

proptest! {
    #[test]
    fn random_memory_is_no_danger(
        memory in prop::collection::vec(any::<u8>(), 0..400),
        at in any::<u32>(),
        near in 0..400u32,
        most in 0..200usize,
    ) {
        for at in [at, near & !3, near] {
            if let Ok(answer) = answer(&memory, at, most) {
                prop_assert!(at.is_multiple_of(4) && at as usize + 60 <= memory.len());
                prop_assert!(answer.value_json.is_none_or(|text| text.len() <= most));
            }
        }
    }

    #[test]
    fn records_with_random_fields_are_no_danger(
        options in prop::array::uniform3(0..3u8),
        fields in prop::collection::vec(prop_oneof![0..300u32, 200..260u32, any::<u32>()], 15),
        text in prop::collection::vec(any::<u8>(), 240),
        most in 0..100usize,
    ) {
        let mut memory: Vec<u8> = fields.iter().flat_map(|field| field.to_le_bytes()).collect();
        memory.extend(text);
        for (at, option) in [0, 12, 24].into_iter().zip(options) {
            memory[at] = option;
        }
        if let Ok(answer) = answer(&memory, 0, most) {
            prop_assert!(options.iter().all(|&option| option < 2));
            prop_assert!(answer.value_json.is_none_or(|text| text.len() <= most));
            prop_assert_eq!(answer.value_repr.is_some(), options[1] == 1);
            prop_assert_eq!(answer.fault.is_some(), options[2] == 1);
        }
    }

    #[test]
    fn strings_are_cut_at_characters(text in "\\PC{0,40}", most in 0..90usize, at in 0..64u32) {
        let mut memory = vec![0xff; 400];
        memory[at as usize..][..4].copy_from_slice(&128u32.to_le_bytes());
        memory[at as usize + 4..][..4].copy_from_slice(&u32::try_from(text.len()).expect("short").to_le_bytes());
        memory[128..][..text.len()].copy_from_slice(text.as_bytes());
        prop_assert_eq!(string(&memory, at, most).expect("a good string"), whole(&text, most));
    }

    #[test]
    fn spans_lie_inside(len in 0..300usize, at in any::<u32>(), near in 0..400u32, size in prop_oneof![0..300usize, any::<usize>()]) {
        let mut memory = vec![1; len];
        for at in [at, near] {
            let inside = (at as usize).checked_add(size).is_some_and(|end| end <= len);
            prop_assert_eq!(span(&memory, at, size).map(<[u8]>::len).ok(), inside.then_some(size));
            prop_assert_eq!(span_mut(&mut memory, at, size).map(|bytes| bytes.len()).ok(), inside.then_some(size));
        }
    }
}
