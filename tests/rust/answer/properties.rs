//! The native judge: properties of random expressions and texts.

use mentor::answer::Verdict;
use proptest::prelude::*;

use super::decide;

/// An expression that can be written in several ways and evaluated by another, simple, route.
#[derive(Clone, Debug)]
enum Tree {
    Integer(i32),
    Root(u32),
    Pi,
    Variable(char),
    Sum(Box<Tree>, Box<Tree>),
    Difference(Box<Tree>, Box<Tree>),
    Product(Box<Tree>, Box<Tree>),
    Quotient(Box<Tree>, Box<Tree>),
    Power(Box<Tree>, u32),
}

impl Tree {
    fn value(&self, x: f64, y: f64) -> f64 {
        let of = |tree: &Tree| tree.value(x, y);
        match self {
            Self::Integer(n) => f64::from(*n),
            Self::Root(n) => f64::from(*n).sqrt(),
            Self::Pi => std::f64::consts::PI,
            Self::Variable(name) => {
                if *name == 'x' {
                    x
                } else {
                    y
                }
            }
            Self::Sum(a, b) => of(a) + of(b),
            Self::Difference(a, b) => of(a) - of(b),
            Self::Product(a, b) => of(a) * of(b),
            Self::Quotient(a, b) => of(a) / of(b),
            Self::Power(a, n) => of(a).powi(i32::try_from(*n).expect("small")),
        }
    }

    /// One way to write it.
    fn latex(&self) -> String {
        match self {
            Self::Integer(n) if *n < 0 => format!("({n})"),
            Self::Integer(n) => n.to_string(),
            Self::Root(n) => format!("\\sqrt{{{n}}}"),
            Self::Pi => "\\pi".to_owned(),
            Self::Variable(name) => name.to_string(),
            Self::Sum(a, b) => format!("\\left({}+{}\\right)", a.latex(), b.latex()),
            Self::Difference(a, b) => format!("\\left({} - {}\\right)", a.latex(), b.latex()),
            Self::Product(a, b) => format!("{} \\cdot {}", a.latex(), b.latex()),
            Self::Quotient(a, b) => format!("\\frac{{{}}}{{{}}}", a.latex(), b.latex()),
            Self::Power(a, n) => format!("{{({})}}^{{{n}}}", a.latex()),
        }
    }

    /// Another way: operands swapped, plain signs.
    fn plain(&self) -> String {
        match self {
            Self::Integer(n) => format!("({n}.0)"),
            Self::Root(n) => format!("sqrt({n})"),
            Self::Pi => "pi".to_owned(),
            Self::Variable(name) => name.to_string(),
            Self::Sum(a, b) => format!("({} + {})", b.plain(), a.plain()),
            Self::Difference(a, b) => format!("(-{}+{})", b.plain(), a.plain()),
            Self::Product(a, b) => format!("({})*({})", b.plain(), a.plain()),
            Self::Quotient(a, b) => format!("(({})/({}))", a.plain(), b.plain()),
            Self::Power(a, n) => format!("({}){}", a.plain(), if *n == 1 { String::new() } else { format!("**{n}") }),
        }
    }

    /// The same with one integer changed.
    fn perturbed(&self, countdown: &mut i32) -> Self {
        let mut of = |tree: &Tree| Box::new(tree.perturbed(countdown));
        match self {
            Self::Integer(n) => {
                *countdown -= 1;
                Self::Integer(if *countdown == 0 { n + 1 } else { *n })
            }
            Self::Root(n) => {
                *countdown -= 1;
                Self::Root(if *countdown == 0 { n + 1 } else { *n })
            }
            Self::Sum(a, b) => Self::Sum(of(a), of(b)),
            Self::Difference(a, b) => Self::Difference(of(a), of(b)),
            Self::Product(a, b) => Self::Product(of(a), of(b)),
            Self::Quotient(a, b) => Self::Quotient(of(a), of(b)),
            Self::Power(a, n) => Self::Power(of(a), *n),
            other => other.clone(),
        }
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        4 => (-12_i32..60).prop_map(Tree::Integer),
        2 => (2_u32..30).prop_map(Tree::Root),
        1 => Just(Tree::Pi),
        3 => prop_oneof![Just('x'), Just('y')].prop_map(Tree::Variable),
    ];
    leaf.prop_recursive(4, 14, 2, |inner| {
        let pair = || (inner.clone().prop_map(Box::new), inner.clone().prop_map(Box::new));
        prop_oneof![
            3 => pair().prop_map(|(a, b)| Tree::Sum(a, b)),
            2 => pair().prop_map(|(a, b)| Tree::Difference(a, b)),
            3 => pair().prop_map(|(a, b)| Tree::Product(a, b)),
            2 => pair().prop_map(|(a, b)| Tree::Quotient(a, b)),
            1 => (inner.clone().prop_map(Box::new), 1_u32..4).prop_map(|(a, n)| Tree::Power(a, n)),
        ]
    })
}

const POINTS: [(f64, f64); 3] = [(1.37, 0.61), (2.9, 3.3), (0.23, 7.1)];

/// Whether two expressions differ clearly at some point; `None` where floats do not tell.
fn differ(a: &Tree, b: &Tree) -> Option<bool> {
    let mut close = true;
    for (x, y) in POINTS {
        let (a, b) = (a.value(x, y), b.value(x, y));
        if !a.is_finite() || !b.is_finite() || a.abs() > 1e12 || b.abs() > 1e12 {
            return None;
        }
        let gap = (a - b).abs() / (1.0 + a.abs().max(b.abs()));
        if gap > 1e-6 {
            return Some(true);
        }
        close &= gap < 1e-9;
    }
    close.then_some(false)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn one_expression_in_two_writings_is_never_different(tree in trees()) {
        let (latex, plain) = (tree.latex(), tree.plain());
        prop_assert_ne!(decide(&latex, &plain).verdict, Verdict::Different, "{} | {}", latex, plain);
        prop_assert_ne!(decide(&plain, &latex).verdict, Verdict::Different, "{} | {}", plain, latex);
    }

    #[test]
    fn a_changed_expression_is_never_equal(tree in trees(), at in 1_i32..6) {
        let changed = tree.perturbed(&mut { at });
        let verdict = decide(&tree.latex(), &changed.plain()).verdict;
        match differ(&tree, &changed) {
            Some(true) => prop_assert_ne!(verdict, Verdict::Equal, "{} | {}", tree.latex(), changed.plain()),
            Some(false) => prop_assert_ne!(verdict, Verdict::Different, "{} | {}", tree.latex(), changed.plain()),
            None => {}
        }
    }

    #[test]
    fn unrelated_expressions_are_judged_as_their_values_say(a in trees(), b in trees()) {
        let verdict = decide(&a.latex(), &b.latex()).verdict;
        if differ(&a, &b) == Some(true) {
            prop_assert_ne!(verdict, Verdict::Equal, "{} | {}", a.latex(), b.latex());
        }
        prop_assert_eq!(verdict == Verdict::Equal, decide(&b.latex(), &a.latex()).verdict == Verdict::Equal);
    }

    #[test]
    fn tuples_sets_and_lists_follow_their_elements(a in prop::collection::vec(-9_i32..9, 2..5), seed in 0_usize..24) {
        let mut shuffled = a.clone();
        shuffled.rotate_left(seed % a.len());
        let write = |items: &[i32], open: &str, close: &str| {
            let items: Vec<String> = items.iter().map(|n| format!("\\frac{{{}}}{{2}}", 2 * n)).collect();
            format!("{open}{}{close}", items.join(", "))
        };
        let plain: Vec<String> = shuffled.iter().map(ToString::to_string).collect();
        let plain = plain.join(", ");
        prop_assert_eq!(decide(&write(&a, "\\{", "\\}"), &format!("\\{{{plain}\\}}")).verdict, Verdict::Equal);
        let tuple = decide(&write(&a, "(", ")"), &format!("({plain})")).verdict;
        prop_assert_eq!(tuple == Verdict::Equal, a == shuffled);
        prop_assert_eq!(tuple == Verdict::Different, a != shuffled);
    }

    #[test]
    fn any_text_gets_a_verdict(gold in "\\PC{0,60}", predicted in "\\PC{0,60}") {
        let verdict = decide(&gold, &predicted).verdict;
        let same = gold.trim() == predicted.trim() && !predicted.trim().is_empty();
        prop_assert!(!same || verdict == Verdict::Equal);
    }

    #[test]
    fn any_tokens_get_a_verdict(a in soup(), b in soup()) {
        let forth = decide(&a, &b).verdict;
        let back = decide(&b, &a).verdict;
        let empty = a.trim().is_empty() || b.trim().is_empty();
        prop_assert!(empty || (forth == Verdict::Equal) == (back == Verdict::Equal), "{} | {}", a, b);
    }
}

/// Pieces of mathematics in any order.
fn soup() -> impl Strategy<Value = String> {
    const PIECES: [&str; 48] = [
        "1",
        "23",
        "0",
        "4.5",
        "x",
        "y",
        "e",
        "i",
        "\\pi",
        "+",
        "-",
        "*",
        "/",
        "^",
        "_",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "\\{",
        "\\}",
        ",",
        "=",
        "<",
        "\\le",
        "|",
        "\\frac",
        "\\sqrt",
        "\\sin",
        "\\log",
        "\\ln",
        "\\pm",
        "\\infty",
        "!",
        "%",
        "^\\circ",
        "\\text{ cm}",
        "\\text{or}",
        "\\cup",
        "\\begin{pmatrix}",
        "\\\\",
        "&",
        "\\end{pmatrix}",
        " ",
        ":",
        "\\in",
    ];
    prop::collection::vec(prop::sample::select(&PIECES[..]), 0..14).prop_map(|pieces| pieces.concat())
}
