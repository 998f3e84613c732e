//! LaTeX and plain mathematics as tokens, in one pass.

use super::number::Digits;

/// What one token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// Digits, with separators and a decimal point as they were written.
    Number(Digits<'a>),
    /// A single letter.
    Letter(char),
    /// Several letters in a row that are no known name.
    Word(&'a str),
    /// A command, or a plain name that means the same: `frac`, `pi`, `sin`; `{` and `}` for escaped braces.
    Command(&'a str),
    /// The content of `\text{}` and its kin.
    Text(&'a str),
    /// `\mathbb{R}` and its kin: the letter.
    Board(char),
    /// Everything else: `+`, `(`, `^`, ...
    Sign(char),
    /// `\\` between the rows of a matrix.
    Row,
}

/// A token and whether white space stands before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub kind: Kind<'a>,
    pub spaced: bool,
}

/// Plain names that are read as commands.
const NAMES: [&str; 34] = [
    "sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan", "asin", "acos",
    "atan", "ln", "log", "lg", "exp", "sqrt", "pi", "inf", "infty", "infinity", "and", "or", "in", "theta", "alpha",
    "beta", "phi", "percent", "degrees", "abs",
];

/// Commands that only change how their surroundings look.
const INVISIBLE: [&str; 26] = [
    "left",
    "right",
    "mleft",
    "mright",
    "big",
    "Big",
    "bigg",
    "Bigg",
    "bigl",
    "bigr",
    "Bigl",
    "Bigr",
    "biggl",
    "biggr",
    "Biggl",
    "Biggr",
    "displaystyle",
    "textstyle",
    "limits",
    "nolimits",
    "quad",
    "qquad",
    "thinspace",
    "rm",
    "bf",
    "mathstrut",
];

const TEXTS: [&str; 12] = [
    "text",
    "textbf",
    "textit",
    "textrm",
    "textsf",
    "textnormal",
    "mbox",
    "hbox",
    "mathrm",
    "mathit",
    "mathsf",
    "operatorname",
];

/// Commands whose braced content is ordinary mathematics in another face.
const FACES: [&str; 5] = ["mathbf", "boldsymbol", "bm", "mathcal", "boxed"];

/// Unicode that stands for commands or signs.
fn unicode(c: char) -> Option<Kind<'static>> {
    Some(match c {
        'π' => Kind::Command("pi"),
        '√' => Kind::Command("sqrt"),
        '∞' => Kind::Command("infty"),
        '±' => Kind::Command("pm"),
        '∓' => Kind::Command("mp"),
        '×' | '⋅' | '·' => Kind::Command("times"),
        '÷' => Kind::Command("div"),
        '−' | '–' => Kind::Sign('-'),
        '≤' => Kind::Command("le"),
        '≥' => Kind::Command("ge"),
        '≠' => Kind::Command("ne"),
        '°' | 'º' => Kind::Command("degree"),
        '∪' => Kind::Command("cup"),
        '∩' => Kind::Command("cap"),
        '∈' => Kind::Command("in"),
        '∅' => Kind::Command("emptyset"),
        'θ' => Kind::Command("theta"),
        'α' => Kind::Command("alpha"),
        'β' => Kind::Command("beta"),
        'ℝ' => Kind::Board('R'),
        '€' | '£' | '¥' => Kind::Sign(c),
        _ => return None,
    })
}

fn superscript(c: char) -> Option<&'static str> {
    Some(match c {
        '²' => "2",
        '³' => "3",
        '⁴' => "4",
        '⁵' => "5",
        _ => return None,
    })
}

/// The tokens of a text; `None` where it holds something that no answer should.
pub(super) fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::with_capacity(text.len().min(64)), spaced: false, brackets: 0 };
    // `\\frac` is a doubled escape unless rows need the double backslash.
    let rows = text.contains("\\begin");
    while lexer.at < text.len() {
        lexer.step(rows)?;
    }
    Some(lexer.tokens)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Token<'a>>,
    spaced: bool,
    /// How many brackets are open: a comma between digits inside them separates elements, not thousands.
    brackets: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn push(&mut self, kind: Kind<'a>, length: usize) {
        self.tokens.push(Token { kind, spaced: self.spaced });
        self.spaced = false;
        self.at += length;
    }

    fn skip(&mut self, length: usize) {
        self.spaced = true;
        self.at += length;
    }

    fn step(&mut self, rows: bool) -> Option<()> {
        let rest = self.rest();
        let first = rest.chars().next()?;
        match first {
            _ if first.is_whitespace() => self.skip(first.len_utf8()),
            '~' => self.skip(1),
            '\\' => return self.backslash(rows),
            '0'..='9' => self.number(),
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number(),
            'a'..='z' | 'A'..='Z' => self.letters(),
            '*' if rest.starts_with("**") => self.push(Kind::Sign('^'), 2),
            '<' | '>' | '!' if rest[1..].starts_with('=') => {
                let name = match first {
                    '<' => "le",
                    '>' => "ge",
                    _ => "ne",
                };
                self.push(Kind::Command(name), 2);
            }
            '(' | '[' | '{' => {
                self.brackets += 1;
                self.push(Kind::Sign(first), 1);
            }
            ')' | ']' | '}' => {
                self.brackets = self.brackets.saturating_sub(1);
                self.push(Kind::Sign(first), 1);
            }
            '+' | '-' | '*' | '/' | '^' | '_' | '|' | ',' | ';' | ':' | '=' | '<' | '>' | '!' | '%' | '&' | '$'
            | '.' | '\'' => self.push(Kind::Sign(first), 1),
            _ => {
                if let Some(kind) = unicode(first) {
                    self.push(kind, first.len_utf8());
                } else {
                    let digit = superscript(first)?;
                    self.push(Kind::Sign('^'), 0);
                    self.push(Kind::Number(Digits::plain(digit)), first.len_utf8());
                }
            }
        }
        Some(())
    }

    fn number(&mut self) {
        let digits = Digits::scan(self.rest(), self.brackets == 0);
        self.push(Kind::Number(digits), digits.length());
    }

    fn letters(&mut self) {
        let rest = self.rest();
        let length = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let word = &rest[..length];
        if length == 1 {
            self.push(Kind::Letter(char::from(rest.as_bytes()[0])), 1);
        } else if NAMES.contains(&word) {
            self.push(Kind::Command(word), length);
        } else {
            self.push(Kind::Word(word), length);
        }
    }

    fn backslash(&mut self, rows: bool) -> Option<()> {
        let after = &self.rest()[1..];
        let next = after.chars().next()?;
        match next {
            '\\' if !rows && after[1..].starts_with(|c: char| c.is_ascii_alphabetic()) => self.at += 1,
            '\\' => self.push(Kind::Row, 2),
            ',' | ';' | ':' | '>' | ' ' | '\n' | '\t' | '(' | ')' | '[' | ']' => self.skip(2),
            '!' => self.at += 2,
            '{' => {
                self.brackets += 1;
                self.push(Kind::Command("{"), 2);
            }
            '}' => {
                self.brackets = self.brackets.saturating_sub(1);
                self.push(Kind::Command("}"), 2);
            }
            '$' | '%' | '&' => self.push(Kind::Sign(next), 2),
            '|' => self.push(Kind::Command("Vert"), 2),
            'a'..='z' | 'A'..='Z' => return self.command(),
            _ => return None,
        }
        Some(())
    }

    fn command(&mut self) -> Option<()> {
        let length = self.rest()[1..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let name = &self.rest()[1..=length];
        if INVISIBLE.contains(&name) {
            self.at += 1 + length;
            if matches!(name, "left" | "right") && self.rest().starts_with('.') {
                self.at += 1;
            }
            self.spaced = true;
            return Some(());
        }
        if FACES.contains(&name) {
            self.at += 1 + length;
            return Some(());
        }
        if name == "mathbb" {
            let inner = self.rest()[1 + length..].trim_start().trim_start_matches('{');
            let letter = inner.chars().next().filter(char::is_ascii_uppercase)?;
            let end = self.text.len() - inner.len() + 1;
            let braced = self.text[end..].starts_with('}');
            self.push(Kind::Board(letter), 0);
            self.at = end + usize::from(braced);
            return Some(());
        }
        if TEXTS.contains(&name) {
            let from = self.at + 1 + length;
            let open = from + (self.text[from..].len() - self.text[from..].trim_start().len());
            let end = closing(self.text, open)?;
            let content = &self.text[open + 1..end];
            let kind = match content.trim() {
                inner if NAMES.contains(&inner) && !matches!(inner, "in" | "and" | "or") => Kind::Command(inner),
                _ => Kind::Text(content),
            };
            self.push(kind, 0);
            self.at = end + 1;
            return Some(());
        }
        self.push(Kind::Command(name), 1 + length);
        Some(())
    }
}

/// Where the brace that opens at `open` closes.
pub(super) fn closing(text: &str, open: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.get(open) != Some(&b'{') {
        return None;
    }
    let mut depth = 0_usize;
    let mut at = open;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}
