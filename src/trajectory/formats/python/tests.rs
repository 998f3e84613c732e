//! Python's calls: what is read, and what is wrong.

use super::*;
use serde_json::{Value as Tree, json};

fn read(text: &str) -> Result<Tree, FailureKind> {
    let mut doc = Doc::default();
    let call = call(&mut doc, text, 0).map_err(|failure| failure.kind)?;
    let arguments = call.arguments.map_or(Tree::Null, |id| doc.value(id).to_tree());
    Ok(json!([doc.str(call.name), arguments, &text[call.end..]]))
}

#[test]
fn reads_what_python_allows() {
    for (text, name, arguments) in [
        ("f()", "f", json!({})),
        (" math.add-2( a = 1 , b = -2.5 , ) ", "math.add-2", json!({"a": 1, "b": -2.5})),
        ("f(a=True, b=False, c=None, d=true)", "f", json!({"a": true, "b": false, "c": null, "d": true})),
        (r#"f(a='x"y', b="x'y", c='\'', d="\"")"#, "f", json!({"a": "x\"y", "b": "x'y", "c": "'", "d": "\""})),
        ("f(a='''it's\n''', b=\"\"\"a\"b\"\"\", c='')", "f", json!({"a": "it's\n", "b": "a\"b", "c": ""})),
        (r"f(a='\n\t\x41\u00e9\U0001F600\101\q\\')", "f", json!({"a": "\n\tAé😀A\\q\\"})),
        (r"f(a=r'\n\'', b='\ud83d\ude00 \ud800')", "f", json!({"a": r"\n\'", "b": "😀 \u{fffd}"})),
        ("f(a=[1, [2,], ()], b=(1, 2), d=(4,))", "f", json!({"a": [1, [2], []], "b": [1, 2], "d": [4]})),
        ("f(a={'x': {1: [True]}, \"y\": {}})", "f", json!({"a": {"x": {"1": [true]}, "y": {}}})),
        (
            "f(a=1_000, b=.5, c=5., d=0x1F, e=0b11, f=+3, g=1e-3, h=0o17)",
            "f",
            json!({"a": 1000, "b": 0.5, "c": 5.0, "d": 31, "e": 3, "f": 3, "g": 1e-3, "h": 15}),
        ),
        ("f(a=1, a=2)", "f", json!({"a": 2})),
        ("f(a=\n[\r\n1\t])", "f", json!({"a": [1]})),
        ("f(a=((1, 2), (3,)))", "f", json!({"a": [[1, 2], [3]]})),
    ] {
        let end = text.rfind(')').expect("a call") + 1;
        assert_eq!(read(text), Ok(json!([name, arguments, &text[end..]])), "{text}");
    }
    assert_eq!(read("f(a=1e400)"), Ok(json!(["f", {"a": "1e400"}, ""])), "a large number is kept as written");
}

#[test]
fn names_what_is_wrong() {
    for text in ["f(1)", "f(a=1, 2)", "f('x', b=2)", "f([1], {})"] {
        assert_eq!(read(text), Ok(json!(["f", null, ""])), "{text}");
    }
    for (text, kind) in [
        ("f(a=1", FailureKind::End),
        ("f(a='x", FailureKind::End),
        ("f(a='\\", FailureKind::End),
        ("f", FailureKind::End),
        ("", FailureKind::End),
        ("f(a=1 b=2)", FailureKind::Syntax),
        ("f(x)", FailureKind::Syntax),
        ("f(g(a=1))", FailureKind::Syntax),
        ("f(a=nan)", FailureKind::Syntax),
        ("f(a=01)", FailureKind::Syntax),
        ("f(a=1__0)", FailureKind::Syntax),
        ("f(a=0x)", FailureKind::Syntax),
        ("f(a=1j)", FailureKind::Syntax),
        ("f(a=.)", FailureKind::Syntax),
        ("f(**{})", FailureKind::Syntax),
        ("f(a={1, 2})", FailureKind::Syntax),
        ("f(a='\\xZ')", FailureKind::Syntax),
        ("1(a=1)", FailureKind::Syntax),
        ("f(,)", FailureKind::Syntax),
        ("f(a=(1))", FailureKind::Syntax),
    ] {
        assert_eq!(read(text), Err(kind), "{text}");
    }
    let deep = |depth| format!("f(a={}{})", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(read(&deep(400)), Err(FailureKind::TooDeep));
    assert!(read(&deep(MAX_DEPTH - 1)).is_ok());
}
