//! Roots, functions, matrices, and the arguments of TeX's commands.

use num_rational::BigRational;
use num_traits::One;

use super::super::lex::Kind;
use super::super::node::{Call, Constant, Node};
use super::super::number::Digits;
use super::Parser;
use super::atom::symbol;
use super::operators::times;

impl Parser<'_> {
    /// A group in braces, or a single digit, letter or command, as TeX takes an argument.
    pub(super) fn argument(&mut self) -> Option<Node> {
        match self.peek()? {
            Kind::Number(digits) => {
                let (first, rest) = digits.text().split_at(1);
                if !digits.is_plain() {
                    return None;
                }
                if rest.is_empty() {
                    self.at += 1;
                } else {
                    self.tokens[self.at].kind = Kind::Number(Digits::plain(rest));
                }
                Some(Node::Number(Digits::plain(first).value()?, None))
            }
            Kind::Sign('{') | Kind::Letter(_) | Kind::Command("pi" | "sqrt" | "frac" | "theta" | "alpha" | "beta") => {
                self.operand(false)
            }
            Kind::Word(word) => {
                // \frac ab
                let (first, rest) = word.split_at(1);
                self.tokens[self.at].kind =
                    if rest.len() == 1 { Kind::Letter(rest.chars().next()?) } else { Kind::Word(rest) };
                Some(symbol(first.chars().next()?))
            }
            _ => None,
        }
    }

    pub(super) fn root(&mut self) -> Option<Node> {
        let degree = if self.eat('[') {
            let degree = self.expression()?;
            self.expect(']')?;
            degree
        } else {
            Node::Number(BigRational::from_integer(2.into()), None)
        };
        let inner = if self.peek() == Some(Kind::Sign('(')) { self.operand(false)? } else { self.argument()? };
        Some(Node::Call(Call::Root, vec![degree, inner]))
    }

    pub(super) fn function(&mut self, call: Call) -> Option<Node> {
        let mut base = None;
        if call == Call::Log && self.eat('_') {
            if matches!(self.peek(), Some(Kind::Number(digits)) if digits.length() > 1) {
                return None; // \log_28 is \log_2 8 to TeX and \log_{28} to others
            }
            base = Some(self.operand(false)?);
        }
        let power = if self.eat('^') { Some(self.exponent()?) } else { None };
        let argument = self.function_argument()?;
        let inverse =
            matches!(&power, Some(Node::Negative(one)) if matches!(&**one, Node::Number(n, None) if n.is_one()));
        let call = match (inverse, call) {
            (true, Call::Sin) => Call::Asin,
            (true, Call::Cos) => Call::Acos,
            (true, Call::Tan) => Call::Atan,
            (true, _) => return None,
            _ => call,
        };
        let node = match base {
            Some(base) => Node::Call(Call::LogBase, vec![base, argument]),
            None => Node::Call(call, vec![argument]),
        };
        match power {
            Some(power) if !inverse => Some(Node::Power(Box::new(node), Box::new(power))),
            _ => Some(node),
        }
    }

    /// What a function applies to: a bracket, or the factors up to the next sign or function.
    fn function_argument(&mut self) -> Option<Node> {
        if self.peek() == Some(Kind::Sign('(')) {
            let argument = self.operand(false)?;
            if matches!(argument, Node::Bracket(..)) {
                return None;
            }
            // \sin(x)^2 has two readings.
            self.doubtful |= self.peek() == Some(Kind::Sign('^'));
            return Some(argument);
        }
        let mut argument = self.argument_factor(false)?;
        while matches!(
            self.peek(),
            Some(Kind::Letter(_) | Kind::Command("pi" | "theta" | "alpha" | "beta" | "sqrt" | "frac"))
        ) && !matches!(argument, Node::Quotient(..))
        {
            argument = times(argument, self.argument_factor(true)?);
        }
        // \sin x/2 has two readings.
        self.doubtful |= self.peek() == Some(Kind::Sign('/'));
        Some(argument)
    }

    fn argument_factor(&mut self, beside: bool) -> Option<Node> {
        let mut node = self.operand(beside)?;
        while self.peek() == Some(Kind::Sign('^')) {
            self.at += 1;
            let circle = matches!(self.peek(), Some(Kind::Command("circ")))
                || self.peek() == Some(Kind::Sign('{')) && matches!(self.peek_at(1), Some(Kind::Command("circ")));
            if circle {
                self.at += if self.peek() == Some(Kind::Sign('{')) { 3 } else { 1 };
                node = times(node, Node::Constant(Constant::Degree));
            } else {
                node = Node::Power(Box::new(node), Box::new(self.exponent()?));
            }
        }
        if self.eat_command("degree") {
            node = times(node, Node::Constant(Constant::Degree));
        }
        Some(node)
    }

    pub(super) fn matrix(&mut self) -> Option<Node> {
        self.expect('{')?;
        let Some(Kind::Word(name @ ("pmatrix" | "bmatrix" | "matrix" | "Bmatrix"))) = self.peek() else { return None };
        self.at += 1;
        self.expect('}')?;
        let mut rows = vec![vec![self.relation()?]];
        loop {
            match self.peek()? {
                Kind::Sign('&') => {
                    self.at += 1;
                    let cell = self.relation()?;
                    rows.last_mut()?.push(cell);
                }
                Kind::Row => {
                    self.at += 1;
                    if self.peek() != Some(Kind::Command("end")) {
                        let cell = self.relation()?;
                        rows.push(vec![cell]);
                    }
                }
                Kind::Command("end") => break,
                _ => return None,
            }
        }
        self.at += 1;
        self.expect('{')?;
        if self.peek() != Some(Kind::Word(name)) {
            return None;
        }
        self.at += 1;
        self.expect('}')?;
        let width = rows[0].len();
        rows.iter().all(|row| row.len() == width).then_some(Node::Matrix(rows))
    }
}
