use super::*;
use proptest::prelude::*;

fn canonical(text: &str) -> String {
    Value::parse(text.as_bytes()).unwrap().canonical().unwrap()
}

/// The order of names in RFC 8785, section 3.2.3: by UTF-16, not by code point.
#[test]
fn names_sort_as_in_the_rfc() {
    let input = r#"{
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\ud83d\ude00": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis"
    }"#;
    let object = Object::parse(input.as_bytes()).unwrap();
    let order: Vec<&str> = object
        .iter()
        .map(|(_, value)| match value {
            Value::Text(text) => text.as_str(),
            _ => panic!("not a text"),
        })
        .collect();
    assert_eq!(
        order,
        [
            "Carriage Return",
            "One",
            "Control",
            "Latin Small Letter O With Diaeresis",
            "Euro Sign",
            "Emoji: Grinning Face",
            "Hebrew Letter Dalet With Dagesh",
        ]
    );
}

/// The example of RFC 8785, sections 3.2.2 and 3.2.4, less its fractions.
#[test]
fn strings_and_literals_as_in_the_rfc() {
    let input = r#"{
        "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
        "literals": [null, true, false]
    }"#;
    let bytes = [
        r#"{"literals":[null,true,false],"string":""#.as_bytes(),
        &[
            0xe2, 0x82, 0xac, 0x24, 0x5c, 0x75, 0x30, 0x30, 0x30, 0x66, 0x5c, 0x6e, 0x41, 0x27,
            0x42, 0x5c, 0x22, 0x5c, 0x5c, 0x5c, 0x5c, 0x5c, 0x22, 0x2f, 0x22, 0x7d,
        ],
    ]
    .concat();
    assert_eq!(canonical(input).as_bytes(), bytes);
    Object::parse_canonical(&bytes).unwrap();
}

/// Whole numbers of RFC 8785, appendix B, within what every implementation keeps; its fractions and
/// larger numbers are refused, not rounded.
#[test]
fn numbers_as_in_the_rfc() {
    for (text, out) in [
        ("0", "0"),
        ("-0", "0"),
        ("9007199254740991", "9007199254740991"),
        ("-9007199254740991", "-9007199254740991"),
    ] {
        assert_eq!(canonical(text), out);
    }
    for bad in [
        "9007199254740992",
        "-9007199254740992",
        "295147905179352830000",
        "333333333.33333329",
        "1E30",
        "4.50",
        "2e-3",
        "1.0",
        "NaN",
        "01",
        "-",
        "+1",
    ] {
        assert!(Value::parse(bad.as_bytes()).is_err(), "{bad}");
    }
    assert!(Value::Integer(INTEGER_MAX + 1).canonical().is_err());
}

#[test]
fn escapes_are_the_shortest() {
    let all: String = (0u8..0x20).map(char::from).collect();
    let text = Value::Text(all).canonical().unwrap();
    assert_eq!(
        text,
        "\"\\u0000\\u0001\\u0002\\u0003\\u0004\\u0005\\u0006\\u0007\\b\\t\\n\\u000b\\f\\r\\u000e\\u000f\
         \\u0010\\u0011\\u0012\\u0013\\u0014\\u0015\\u0016\\u0017\\u0018\\u0019\\u001a\\u001b\\u001c\\u001d\\u001e\\u001f\""
    );
    assert_eq!(canonical(r#""\u007f\u2028\/""#), "\"\u{7f}\u{2028}/\"");
}

#[test]
fn malformed_json_is_refused_at_its_byte() {
    let deep = "[".repeat(40);
    for (bad, words) in [
        ("", "byte 0"),
        ("{", "byte 1"),
        ("{\"a\"}", "byte 4"),
        ("{\"a\":1,}", "byte 7"),
        ("[1 2]", "byte 3"),
        ("[1,]", "byte 3"),
        ("nul", "byte 0"),
        ("1 1", "byte 2: something follows"),
        ("\"a", "ends within a string"),
        ("\"\u{1}\"", "control"),
        ("\"\\x\"", "escape"),
        ("\"\\u12g4\"", "hexadecimal"),
        ("\"\\ud800\"", "surrogate"),
        ("\"\\udc00\"", "surrogate"),
        ("\"\\ud800\\u0041\"", "surrogate"),
        ("{\"a\":1,\"\\u0061\":2}", "twice"),
        (deep.as_str(), "depth"),
    ] {
        let error = Value::parse(bad.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(words), "{bad}: {error}");
    }
    assert!(Value::parse(b"\"\xff\"").is_err());
    let error = Object::parse_canonical(b"{\"a\": 1}").unwrap_err();
    assert!(error.to_string().contains("byte 5"), "{error}");
}

#[test]
fn objects_are_edited_in_order() {
    let mut object = Object::default()
        .with("b", 2i64)
        .with("a", "x")
        .with("b", 3i64);
    assert_eq!(object.canonical().unwrap(), r#"{"a":"x","b":3}"#);
    assert_eq!(
        (object.text("a"), object.integer("b")),
        (Some("x"), Some(3))
    );
    assert_eq!((object.text("b"), object.integer("c")), (None, None));
    assert_eq!(object.remove("a"), Some("x".into()));
    assert_eq!(object.remove("a"), None);
    let twice = [("a".into(), Value::Null), ("a".into(), Value::Null)];
    assert!(Object::new(twice).is_err());
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-INTEGER_MAX..=INTEGER_MAX).prop_map(Value::Integer),
        ".{0,12}".prop_map(Value::Text),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
            prop::collection::btree_map(".{0,6}", inner, 0..6)
                .prop_map(|map| Value::Object(Object::new(map).unwrap())),
        ]
    })
}

proptest! {
    #[test]
    fn round_trip_and_agreement_with_another_parser(value in any_value()) {
        let text = value.canonical().unwrap();
        prop_assert_eq!(&Value::parse(text.as_bytes()).unwrap(), &value);
        // Another implementation reads the same, and what it writes reads back the same.
        let other: serde_json::Value = serde_json::from_str(&text).unwrap();
        let theirs = serde_json::to_string_pretty(&other).unwrap();
        prop_assert_eq!(Value::parse(theirs.as_bytes()).unwrap().canonical().unwrap(), text);
    }

    #[test]
    fn the_parser_never_panics(text in ".{0,60}", bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = Value::parse(text.as_bytes());
        let _ = Value::parse(&bytes);
    }
}
