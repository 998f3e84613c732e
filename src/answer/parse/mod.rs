//! Tokens into nodes: a recursive descent of bounded depth. What it does not understand it refuses.

mod atom;
mod function;
mod operators;

use super::lex::{Kind, Token, tokens};
use super::node::{Node, Sign};

/// Deeper nesting is refused.
const MAX_DEPTH: usize = 40;
/// Longer texts are refused.
pub(super) const MAX_TEXT: usize = 2048;
const MAX_TOKENS: usize = 600;

/// A text as a node, and whether the reading is doubtful (`1/2x`, `(1,200)`); `None` for what is no mathematics.
pub(super) fn parse(text: &str) -> Option<(Node, bool)> {
    if text.len() > MAX_TEXT {
        return None;
    }
    let tokens = tokens(text)?;
    if tokens.is_empty() || tokens.len() > MAX_TOKENS {
        return None;
    }
    let mut parser = Parser { tokens, at: 0, depth: 0, bars: 0, doubtful: false };
    let node = parser.list()?;
    (parser.at == parser.tokens.len()).then_some((node, parser.doubtful))
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    depth: usize,
    /// How many `|` are open.
    bars: usize,
    doubtful: bool,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<Kind<'a>> {
        self.tokens.get(self.at).map(|token| token.kind)
    }

    fn peek_at(&self, ahead: usize) -> Option<Kind<'a>> {
        self.tokens.get(self.at + ahead).map(|token| token.kind)
    }

    fn spaced(&self) -> bool {
        self.tokens.get(self.at).is_some_and(|token| token.spaced)
    }

    fn eat(&mut self, sign: char) -> bool {
        let found = self.peek() == Some(Kind::Sign(sign));
        self.at += usize::from(found);
        found
    }

    fn eat_command(&mut self, name: &str) -> bool {
        let found = self.peek() == Some(Kind::Command(name));
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: char) -> Option<()> {
        self.eat(sign).then_some(())
    }

    /// Runs a part of the grammar one level deeper.
    fn deeper<T>(&mut self, part: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.depth == MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        let result = part(self);
        self.depth -= 1;
        result
    }

    /// Everything at the top: elements between commas, `and`, `or`.
    fn list(&mut self) -> Option<Node> {
        let mut items = vec![self.relation()?];
        while self.separator() {
            if self.at == self.tokens.len() {
                break;
            }
            items.push(self.relation()?);
        }
        if items.len() == 1 { items.pop() } else { Some(Node::List(items)) }
    }

    fn separator(&mut self) -> bool {
        let start = self.at;
        loop {
            match self.peek() {
                Some(Kind::Sign(',' | ';') | Kind::Command("and" | "or" | "text,")) => self.at += 1,
                Some(Kind::Text(text)) if matches!(text.trim(), "and" | "or" | "," | ", and" | ", or" | "") => {
                    self.at += 1;
                }
                _ => return self.at > start,
            }
        }
    }

    /// Unions joined by relation signs.
    fn relation(&mut self) -> Option<Node> {
        self.deeper(|parser| {
            let mut sides = vec![parser.union()?];
            let mut signs = Vec::new();
            while let Some(sign) = parser.sign() {
                signs.push(sign);
                sides.push(parser.union()?);
            }
            if signs.is_empty() { sides.pop() } else { Some(Node::Relation(sides, signs)) }
        })
    }

    fn sign(&mut self) -> Option<Sign> {
        let sign = match self.peek()? {
            Kind::Sign('=') => Sign::Equal,
            Kind::Sign('<') | Kind::Command("lt") => Sign::Less,
            Kind::Sign('>') | Kind::Command("gt") => Sign::Greater,
            Kind::Command("le" | "leq" | "leqslant") => Sign::LessEqual,
            Kind::Command("ge" | "geq" | "geqslant") => Sign::GreaterEqual,
            Kind::Command("ne" | "neq") => Sign::NotEqual,
            Kind::Command("in") => Sign::In,
            _ => return None,
        };
        self.at += 1;
        Some(sign)
    }

    fn union(&mut self) -> Option<Node> {
        let mut parts = vec![self.measured()?];
        let letter_cup = |parser: &Self| parser.peek() == Some(Kind::Letter('U')) && parser.spaced();
        while self.eat_command("cup")
            || letter_cup(self) && matches!(parts.last(), Some(Node::Bracket(..))) && self.eat_any()
        {
            parts.push(self.measured()?);
        }
        if parts.len() == 1 { parts.pop() } else { Some(Node::Union(parts)) }
    }

    fn eat_any(&mut self) -> bool {
        self.at += 1;
        true
    }

    /// An expression and the unit behind it, or the two sides of a ratio.
    fn measured(&mut self) -> Option<Node> {
        if let Some(Kind::Text(name)) = self.peek()
            && matches!(self.peek_at(1), Some(Kind::Sign('=')))
        {
            self.at += 1;
            return Some(Node::Symbol(name.trim().into()));
        }
        if let Some(words) = self.words() {
            return Some(Node::Words(words));
        }
        let node = self.expression()?;
        if self.eat(':') {
            let right = self.expression()?;
            return Some(Node::Ratio(Box::new(node), Box::new(right)));
        }
        match self.unit() {
            Some(unit) if unit.is_empty() => Some(node),
            Some(unit) => Some(Node::Measured(Box::new(node), unit)),
            None => Some(node),
        }
    }

    /// Words that are an element of their own: `\{\text{red}, \text{blue}\}`.
    fn words(&mut self) -> Option<String> {
        let text = match self.peek()? {
            Kind::Text(text) => text,
            Kind::Word(word) if word.len() > 3 => word,
            _ => return None,
        };
        let alone = matches!(
            self.peek_at(1),
            None | Some(
                Kind::Sign(',' | ';' | ')' | '}' | ']' | '&') | Kind::Command("}" | "and" | "or" | "end") | Kind::Row
            )
        );
        if !alone || !super::text::is_prose(text.trim()) {
            return None;
        }
        self.at += 1;
        Some(super::text::normal(text))
    }

    /// Words behind an expression: `\text{ cm}^2`, `dollars`.
    fn unit(&mut self) -> Option<String> {
        let mut unit = String::new();
        let start = self.at;
        loop {
            match self.peek() {
                Some(Kind::Text(text)) if !matches!(text.trim(), "and" | "or" | "," | ", and" | ", or") => {
                    if text.contains(|c: char| c.is_ascii_digit()) && !text.contains('^') {
                        return None;
                    }
                    unit.push(' ');
                    unit.push_str(text.trim());
                }
                Some(Kind::Word(text)) => {
                    unit.push(' ');
                    unit.push_str(text);
                }
                Some(Kind::Sign('/'))
                    if self.at > start && matches!(self.peek_at(1), Some(Kind::Text(_) | Kind::Word(_))) =>
                {
                    unit.push_str(" per");
                }
                Some(Kind::Sign('^')) if self.at > start => {
                    let braced = usize::from(self.peek_at(1) == Some(Kind::Sign('{')));
                    let Some(Kind::Number(digits)) = self.peek_at(1 + braced) else { return Some(unit) };
                    unit.push('^');
                    unit.push_str(digits.text());
                    self.at += 1 + 2 * braced;
                }
                _ => return Some(unit),
            }
            self.at += 1;
        }
    }
}
