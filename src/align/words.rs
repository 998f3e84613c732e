//! Texts: the same but for writing, or the words that they share.

/// Buffers for [`Words::overlap`].
#[derive(Clone, Debug, Default)]
pub struct Words {
    a: Vec<u64>,
    b: Vec<u64>,
}

impl Words {
    /// The share of words that two texts have in common, from 0 to 1 (Dice: twice the common words by all words; a word
    /// that stands twice counts twice). 0 for two single words: those are names.
    pub fn overlap(&mut self, a: &str, b: &str) -> f64 {
        fill(&mut self.a, a);
        fill(&mut self.b, b);
        let all = self.a.len() + self.b.len();
        if all < 3 {
            return 0.0;
        }
        let (mut x, mut y, mut common) = (0, 0, 0_usize);
        while let (Some(a), Some(b)) = (self.a.get(x), self.b.get(y)) {
            x += usize::from(a <= b);
            y += usize::from(b <= a);
            common += usize::from(a == b);
        }
        2.0 * common as f64 / all as f64
    }
}

fn fill(out: &mut Vec<u64>, text: &str) {
    out.clear();
    out.extend(words(text).map(hash));
    out.sort_unstable();
}

/// The words of a text: runs of letters and digits.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// FNV-1a of a word in small letters.
pub(super) fn hash(word: &str) -> u64 {
    let step = |hash: u64, unit: u32| (hash ^ u64::from(unit)).wrapping_mul(0x0100_0000_01b3);
    word.chars().flat_map(char::to_lowercase).fold(0xcbf2_9ce4_8422_2325, |hash, c| step(hash, u32::from(c)))
}

/// Whether two texts are equal but for capitals and white space.
pub(super) fn same_but_for_writing(a: &str, b: &str) -> bool {
    plain(a).eq(plain(b))
}

/// The characters in small letters, each run of white space one blank, none at the ends.
fn plain(text: &str) -> impl Iterator<Item = char> {
    let mut blank = false;
    text.trim().chars().flat_map(char::to_lowercase).filter_map(move |c| {
        let was_blank = std::mem::replace(&mut blank, c.is_whitespace());
        if !c.is_whitespace() {
            Some(c)
        } else if was_blank {
            None
        } else {
            Some(' ')
        }
    })
}
