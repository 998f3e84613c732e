//! Sums, products and powers.

use super::super::lex::Kind;
use super::super::node::{Call, Constant, Node};
use super::super::unit;
use super::Parser;

impl Parser<'_> {
    /// A sum of products.
    pub(super) fn expression(&mut self) -> Option<Node> {
        self.deeper(|parser| {
            let mut terms = Vec::new();
            loop {
                let sign = parser.peek();
                let signed = matches!(sign, Some(Kind::Sign('+' | '-') | Kind::Command("pm" | "mp")));
                if !signed && !terms.is_empty() {
                    break;
                }
                parser.at += usize::from(signed);
                let term = parser.product()?;
                terms.push(match sign {
                    Some(Kind::Sign('-')) => Node::Negative(Box::new(term)),
                    Some(Kind::Command("pm")) => Node::PlusMinus(Box::new(term), false),
                    Some(Kind::Command("mp")) => Node::PlusMinus(Box::new(term), true),
                    _ => term,
                });
            }
            if terms.len() == 1 { terms.pop() } else { Some(Node::Sum(terms)) }
        })
    }

    /// Powers side by side, or joined by times and divide signs.
    fn product(&mut self) -> Option<Node> {
        let mut result = self.power(false)?;
        let mut divided = false;
        loop {
            let explicit = match self.peek() {
                Some(Kind::Sign('*') | Kind::Command("cdot" | "times" | "ast")) => Some(false),
                Some(Kind::Sign('/') | Kind::Command("div")) => {
                    if matches!(self.peek_at(1), Some(Kind::Text(_))) {
                        return Some(result);
                    }
                    Some(true)
                }
                _ if self.starts_factor() => None,
                _ => return Some(result),
            };
            if let Some(divide) = explicit {
                self.at += 1;
                let negative = self.eat('-');
                let factor = self.power(false)?;
                let factor = if negative { Node::Negative(Box::new(factor)) } else { factor };
                divided |= divide;
                result =
                    if divide { Node::Quotient(Box::new(result), Box::new(factor)) } else { times(result, factor) };
            } else {
                // 1/2x is half of x to some, one over 2x to others.
                self.doubtful |= divided;
                // 1{2} shows as 12.
                self.doubtful |=
                    self.peek() == Some(Kind::Sign('{')) && matches!(self.peek_at(1), Some(Kind::Number(_)));
                result = times(result, self.power(true)?);
            }
        }
    }

    /// Whether what comes next multiplies what stands before it.
    fn starts_factor(&self) -> bool {
        match self.peek() {
            Some(Kind::Letter('U')) => !(self.spaced() && matches!(self.peek_at(1), Some(Kind::Sign('(' | '[')))),
            Some(Kind::Letter(_) | Kind::Sign('(' | '{')) => true,
            Some(Kind::Sign('|')) => self.bars == 0,
            Some(Kind::Word(word)) => word.len() <= 3 && !unit::is_known(word),
            Some(Kind::Command(name)) => !matches!(
                name,
                "pm" | "mp"
                    | "cup"
                    | "cap"
                    | "in"
                    | "le"
                    | "leq"
                    | "leqslant"
                    | "ge"
                    | "geq"
                    | "geqslant"
                    | "lt"
                    | "gt"
                    | "ne"
                    | "neq"
                    | "and"
                    | "or"
                    | "{"
                    | "}"
                    | "rangle"
                    | "rfloor"
                    | "rceil"
                    | "rvert"
                    | "rbrace"
                    | "rbrack"
                    | "percent"
                    | "degrees"
                    | "to"
                    | "end"
                    | "cdot"
                    | "times"
                    | "ast"
                    | "div"
            ),
            _ => false,
        }
    }

    /// An operand with its powers, percent and degree signs and factorials. `beside`: another stands directly before it.
    fn power(&mut self, beside: bool) -> Option<Node> {
        let mut base = self.operand(beside)?;
        loop {
            base = match self.peek() {
                Some(Kind::Sign('!')) => {
                    self.at += 1;
                    Node::Call(Call::Factorial, vec![base])
                }
                Some(Kind::Sign('%') | Kind::Command("percent")) => {
                    self.at += 1;
                    Node::Percent(Box::new(base))
                }
                Some(Kind::Command("degree" | "degrees")) => {
                    self.at += 1;
                    degrees(base)
                }
                Some(Kind::Sign('^')) => {
                    self.at += 1;
                    if self.circle() { degrees(base) } else { self.raised(base)? }
                }
                _ => return Some(base),
            };
        }
    }

    /// A base and the exponent behind `^`.
    fn raised(&mut self, base: Node) -> Option<Node> {
        let open = self.peek();
        let exponent = self.exponent()?;
        // e^2x is e^2 times x to TeX, and e^{2x} to who types it.
        let unbraced = matches!(open, Some(Kind::Number(_) | Kind::Letter(_)));
        let beside = matches!(self.peek(), Some(Kind::Letter(_) | Kind::Word(_))) && !self.spaced();
        self.doubtful |= unbraced && beside && matches!(base, Node::Number(..) | Node::Constant(_));
        Some(Node::Power(Box::new(base), Box::new(exponent)))
    }

    /// `\circ`, in braces or without.
    fn circle(&mut self) -> bool {
        let circle = |kind: Option<Kind<'_>>| matches!(kind, Some(Kind::Command("circ" | "degree")));
        if circle(self.peek()) {
            self.at += 1;
            return true;
        }
        let braced =
            self.peek() == Some(Kind::Sign('{')) && circle(self.peek_at(1)) && self.peek_at(2) == Some(Kind::Sign('}'));
        self.at += 3 * usize::from(braced);
        braced
    }

    pub(super) fn exponent(&mut self) -> Option<Node> {
        if self.eat('-') {
            let inner = self.deeper(Self::exponent)?;
            return Some(Node::Negative(Box::new(inner)));
        }
        match self.peek()? {
            Kind::Sign('{' | '(')
            | Kind::Letter(_)
            | Kind::Number(_)
            | Kind::Command("pi" | "infty" | "frac" | "theta" | "sqrt") => {
                let operand = self.operand(false)?;
                // 2^3^4 has two readings on paper and one in TeX.
                if self.peek() == Some(Kind::Sign('^')) {
                    self.at += 1;
                    let inner = self.deeper(Self::exponent)?;
                    return Some(Node::Power(Box::new(operand), Box::new(inner)));
                }
                Some(operand)
            }
            _ => None,
        }
    }
}

fn degrees(base: Node) -> Node {
    times(base, Node::Constant(Constant::Degree))
}

pub(super) fn times(left: Node, right: Node) -> Node {
    match left {
        Node::Product(mut factors) => {
            factors.push(right);
            Node::Product(factors)
        }
        other => Node::Product(vec![other, right]),
    }
}
