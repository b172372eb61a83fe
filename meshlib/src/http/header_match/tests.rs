use super::*;

fn matcher(name: &str, value: HeaderMatchValue) -> HeaderMatcher {
    HeaderMatcher::new(&HeaderMatch { name: name.parse().unwrap(), value, invert: false }).unwrap()
}

fn regex(pattern: &str) -> HeaderMatchValue {
    HeaderMatchValue::Regex(pattern.to_owned())
}

#[test]
fn the_request_line_is_made_of_headers() {
    let request = Request::post("https://a.example:8443/x?y=1").body(()).unwrap();
    for (name, value) in
        [(":path", "/x?y=1"), (":method", "POST"), (":authority", "a.example:8443"), (":scheme", "https")]
    {
        assert!(matcher(name, HeaderMatchValue::Exact(value.into())).matches(&request), "{name}");
        assert!(!matcher(name, HeaderMatchValue::Exact("other".into())).matches(&request), "{name}");
    }
    let http1 = Request::get("/").header("host", "b").body(()).unwrap();
    assert!(matcher("Host", HeaderMatchValue::Exact("b".into())).matches(&http1));
}

#[test]
fn each_kind_of_value() {
    let request = Request::get("/").header("x-a", "abc").header("x-a", "def").body(()).unwrap();
    use HeaderMatchValue as V;
    for (value, holds) in [
        (V::Present, true),
        (V::Exact("abc,def".into()), true),
        (V::Exact("abc".into()), false),
        (V::Prefix("abc,".into()), true),
        (V::Suffix("def".into()), true),
        (V::Suffix("de".into()), false),
        (V::Contains("c,d".into()), true),
        (V::Contains(String::new()), true),
        (V::Contains("x".into()), false),
        (regex("[a-f]+,[a-f]+"), true),
        (regex("abc"), false),
        (regex("abc|abc,def"), true),
    ] {
        assert_eq!(matcher("x-a", value.clone()).matches(&request), holds, "{value:?}");
    }
}

#[test]
fn a_missing_header_meets_only_an_inverted_presence() {
    let request = Request::get("/").body(()).unwrap();
    let with = |value, invert| {
        let config = HeaderMatch { name: "x-a".parse().unwrap(), value, invert };
        HeaderMatcher::new(&config).unwrap().matches(&request)
    };
    assert!(!with(HeaderMatchValue::Present, false));
    assert!(with(HeaderMatchValue::Present, true));
    assert!(!with(HeaderMatchValue::Exact("a".into()), true));
}

#[test]
fn regular_expressions_are_bounded_and_see_any_byte() {
    let error = |pattern: &str| {
        let config = HeaderMatch { name: "x-a".parse().unwrap(), value: regex(pattern), invert: false };
        HeaderMatcher::new(&config).unwrap_err().to_string()
    };
    assert!(error("(").contains("invalid regular expression `(`"));
    assert!(error("a)|(b").contains("unopened group"));
    assert!(error(&"a".repeat(5000)).contains("longer than"));
    assert!(error("((a{100}){100}){100}").contains("size limit"));
    let value = http::HeaderValue::from_bytes(b"a\xff").unwrap();
    let request = Request::get("/").header("x-a", value).body(()).unwrap();
    assert!(matcher("x-a", regex("a.")).matches(&request));
    assert!(!matcher("x-a", regex("a")).matches(&request));
}
