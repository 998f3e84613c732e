//! Operands: numbers, symbols, brackets, and what stands for itself.

use num_rational::BigRational;
use num_traits::One;

use super::super::lex::Kind;
use super::super::node::{Call, Constant, Node};
use super::super::number::Digits;
use super::super::unit;
use super::Parser;

const GREEK: [&str; 22] = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "varepsilon",
    "zeta",
    "eta",
    "theta",
    "lambda",
    "mu",
    "nu",
    "xi",
    "rho",
    "sigma",
    "tau",
    "phi",
    "varphi",
    "chi",
    "psi",
    "omega",
    "ell",
];

impl<'a> Parser<'a> {
    pub(super) fn operand(&mut self, beside: bool) -> Option<Node> {
        self.deeper(|parser| parser.operand_here(beside))
    }

    fn operand_here(&mut self, beside: bool) -> Option<Node> {
        let kind = self.peek()?;
        self.at += 1;
        match kind {
            Kind::Number(_) if beside => None,
            Kind::Number(digits) => self.number(digits),
            Kind::Letter(letter) => self.letter(letter),
            Kind::Word(word) if word.len() <= 3 && !unit::is_known(word) => {
                // xy^2 is x times y^2: the other letters stay for the product.
                let (first, rest) = word.split_at(1);
                self.at -= 1;
                self.tokens[self.at].kind = match rest.chars().next() {
                    Some(letter) if rest.len() == 1 => Kind::Letter(letter),
                    _ => Kind::Word(rest),
                };
                first.chars().next().map(symbol)
            }
            Kind::Board(letter) => Some(Node::Board(letter)),
            Kind::Sign(open @ ('(' | '[' | '{')) => self.bracket(open),
            Kind::Sign('$' | '€' | '£' | '¥') => {
                let sign = if let Kind::Sign(sign) = kind { sign } else { '$' };
                let negative = self.eat('-');
                let Some(Kind::Number(_)) = self.peek() else { return None };
                let amount = self.operand(false)?;
                let amount = if negative { Node::Negative(Box::new(amount)) } else { amount };
                Some(Node::Measured(Box::new(amount), sign.to_string()))
            }
            Kind::Sign('|') => {
                self.bars += 1;
                let inner = self.expression()?;
                self.bars -= 1;
                self.expect('|')?;
                Some(Node::Call(Call::Abs, vec![inner]))
            }
            Kind::Command(name) => self.command(name),
            _ => None,
        }
    }

    fn number(&mut self, digits: Digits<'a>) -> Option<Node> {
        if digits.is_plain() && self.peek() == Some(Kind::Sign('_')) {
            self.at += 1;
            let base = self.plain_number()?;
            return Some(Node::InBase(digits.text().to_owned(), base.parse().ok().filter(|b| (2..=36).contains(b))?));
        }
        let value = digits.value()?;
        // Digits after a point and a bar: 0.1\overline{6}.
        if digits.places().is_some() && self.peek() == Some(Kind::Command("overline")) {
            self.at += 1;
            let period = self.plain_number()?;
            return repeating(&value, digits.places()?, period);
        }
        if digits.is_plain()
            && let Some(part) = self.mixed()
        {
            return Some(Node::Number(value + part, None));
        }
        if matches!(self.peek(), Some(Kind::Sign(',')))
            && !self.tokens.get(self.at + 1).is_some_and(|token| token.spaced)
        {
            // (1,200) may be one number or two.
            self.doubtful |= matches!(self.peek_at(1), Some(Kind::Number(next)) if next.is_plain() && next.length() == 3)
                && digits.length() <= 3
                && self.depth > 4;
        }
        Some(Node::Number(value, digits.places()))
    }

    /// The fraction of a mixed number behind its integer.
    fn mixed(&mut self) -> Option<BigRational> {
        let start = self.at;
        let fraction = self.mixed_fraction();
        if fraction.is_none() {
            self.at = start;
        }
        fraction
    }

    fn mixed_fraction(&mut self) -> Option<BigRational> {
        let (top, bottom) = match self.peek()? {
            Kind::Command("frac" | "dfrac" | "tfrac") => {
                self.at += 1;
                match self.peek() {
                    Some(Kind::Number(both)) if both.is_plain() && both.length() == 2 => {
                        self.at += 1;
                        both.text().split_at(1)
                    }
                    _ => (self.plain_argument()?, self.plain_argument()?),
                }
            }
            Kind::Number(top) if self.spaced() && top.is_plain() && self.peek_at(1) == Some(Kind::Sign('/')) => {
                let Some(Kind::Number(bottom)) = self.peek_at(2) else { return None };
                self.at += 3;
                (top.text(), bottom.text())
            }
            _ => return None,
        };
        let top = Digits::plain(top).value()?;
        let bottom = Digits::plain(bottom).value()?;
        // 2\frac{5}{3} may be a product.
        (top < bottom).then(|| top / bottom)
    }

    /// Plain digits as an argument: in braces, or a single digit.
    fn plain_argument(&mut self) -> Option<&'a str> {
        if self.peek() == Some(Kind::Sign('{')) {
            return self.plain_number();
        }
        let Some(Kind::Number(digits)) = self.peek() else { return None };
        if digits.length() != 1 {
            return None;
        }
        self.at += 1;
        Some(digits.text())
    }

    /// Plain digits, in braces or without.
    fn plain_number(&mut self) -> Option<&'a str> {
        let braced = self.eat('{');
        let Some(Kind::Number(digits)) = self.peek() else { return None };
        self.at += 1;
        if braced {
            self.expect('}')?;
        }
        digits.is_plain().then(|| digits.text())
    }

    fn letter(&mut self, letter: char) -> Option<Node> {
        let node = self.subscripted(symbol(letter), &letter.to_string())?;
        if matches!(letter, 'f' | 'g' | 'h') && self.peek() == Some(Kind::Sign('(')) && matches!(node, Node::Symbol(_))
        {
            self.at += 1;
            let arguments = self.items(')')?;
            return Some(Node::Named(letter.to_string().into(), arguments));
        }
        Some(node)
    }

    fn subscripted(&mut self, plain: Node, name: &str) -> Option<Node> {
        if !self.eat('_') {
            return Some(plain);
        }
        let mut name = format!("{name}_");
        let braced = self.eat('{');
        loop {
            match self.peek()? {
                Kind::Number(digits) => name.push_str(digits.text()),
                Kind::Letter(letter) => name.push(letter),
                Kind::Word(word) | Kind::Text(word) => name.push_str(word.trim()),
                Kind::Sign(sign @ ('+' | '-')) if braced => name.push(sign),
                _ => return None,
            }
            self.at += 1;
            if !braced {
                break;
            }
            if self.eat('}') {
                break;
            }
        }
        Some(Node::Symbol(name.into()))
    }

    /// Elements up to a closing sign.
    fn items(&mut self, close: char) -> Option<Vec<Node>> {
        let mut items = vec![self.relation()?];
        while self.eat(',') || self.eat(';') {
            items.push(self.relation()?);
        }
        self.expect(close)?;
        Some(items)
    }

    fn bracket(&mut self, open: char) -> Option<Node> {
        let bars = std::mem::take(&mut self.bars);
        let mut items = vec![self.relation()?];
        while self.eat(',') || self.eat(';') {
            items.push(self.relation()?);
        }
        self.bars = bars;
        let Some(Kind::Sign(close @ (')' | ']' | '}'))) = self.peek() else { return None };
        self.at += 1;
        match (open, close) {
            ('{', '}') if items.len() == 1 => items.pop(),
            ('{', '}') => Some(Node::Set(items)),
            ('(', ')') if items.len() == 1 => items.pop().map(|node| match node {
                // (1, 2) is kept; (x = 3) is its content.
                Node::List(items) => Node::Bracket('(', ')', items),
                other => other,
            }),
            ('(' | '[', ')' | ']') => Some(Node::Bracket(open, close, items)),
            _ => None,
        }
    }

    fn command(&mut self, name: &'a str) -> Option<Node> {
        let call = |call: Call| Some(call);
        let function = match name {
            "pi" => return Some(Node::Constant(Constant::Pi)),
            "infty" | "inf" | "infinity" => return Some(Node::Constant(Constant::Infinity)),
            "degree" | "degrees" => return Some(Node::Constant(Constant::Degree)),
            "imath" => return Some(Node::Constant(Constant::I)),
            "emptyset" | "varnothing" => return Some(Node::EmptySet),
            "frac" | "dfrac" | "tfrac" | "cfrac" => {
                let (top, bottom) = (self.argument()?, self.argument()?);
                return Some(Node::Quotient(Box::new(top), Box::new(bottom)));
            }
            "binom" | "dbinom" | "tbinom" => {
                let arguments = vec![self.argument()?, self.argument()?];
                return Some(Node::Call(Call::Binomial, arguments));
            }
            "sqrt" => return self.root(),
            "{" | "lbrace" => {
                let mut items = vec![self.relation()?];
                while self.eat(',') || self.eat(';') {
                    items.push(self.relation()?);
                }
                return (self.eat_command("}") || self.eat_command("rbrace")).then_some(Node::Set(items));
            }
            "lfloor" | "lceil" | "lvert" => {
                let inner = self.expression()?;
                let (close, function) = match name {
                    "lfloor" => ("rfloor", Call::Floor),
                    "lceil" => ("rceil", Call::Ceil),
                    _ => ("rvert", Call::Abs),
                };
                return self.eat_command(close).then(|| Node::Call(function, vec![inner]));
            }
            "langle" => {
                let mut items = vec![self.relation()?];
                while self.eat(',') {
                    items.push(self.relation()?);
                }
                return self.eat_command("rangle").then_some(Node::Bracket('(', ')', items));
            }
            "begin" => return self.matrix(),
            "sin" => call(Call::Sin),
            "cos" => call(Call::Cos),
            "tan" => call(Call::Tan),
            "cot" => call(Call::Cot),
            "sec" => call(Call::Sec),
            "csc" => call(Call::Csc),
            "sinh" => call(Call::Sinh),
            "cosh" => call(Call::Cosh),
            "tanh" => call(Call::Tanh),
            "arcsin" | "asin" => call(Call::Asin),
            "arccos" | "acos" => call(Call::Acos),
            "arctan" | "atan" => call(Call::Atan),
            "exp" => call(Call::Exp),
            "ln" => call(Call::Ln),
            "log" | "lg" => call(Call::Log),
            "abs" => call(Call::Abs),
            _ if GREEK.contains(&name) => return self.subscripted(Node::Symbol(name.into()), name),
            _ => None,
        }?;
        self.function(function)
    }
}

/// A letter's meaning: Euler's number, the imaginary unit, or a variable.
pub(super) fn symbol(letter: char) -> Node {
    match letter {
        'e' => Node::Constant(Constant::E),
        'i' => Node::Constant(Constant::I),
        _ => {
            let mut bytes = [0; 4];
            Node::Symbol((&*letter.encode_utf8(&mut bytes)).into())
        }
    }
}

/// `0.1` with the period `6`.
fn repeating(start: &BigRational, places: u32, period: &str) -> Option<Node> {
    let digits = u32::try_from(period.len()).ok().filter(|digits| *digits <= 12 && places <= 12)?;
    let ten = BigRational::from_integer(10.into());
    let power = |n: u32| num_traits::pow(ten.clone(), n as usize);
    let value = Digits::plain(period).value()? / ((power(digits) - BigRational::one()) * power(places));
    Some(Node::Number(start + value, None))
}
