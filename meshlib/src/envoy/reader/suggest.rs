//! "Did you mean ...?"

/// The candidate that `given` was probably meant to be.
pub(crate) fn suggest<'c>(given: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let given = given.to_ascii_lowercase();
    // Longer words only look alike by accident, and the comparison is quadratic.
    if given.len() > 100 {
        return None;
    }
    let score = |candidate: &str| {
        let candidate = candidate.to_ascii_lowercase();
        strsim::jaro_winkler(&given, &candidate).max(strsim::normalized_damerau_levenshtein(&given, &candidate))
    };
    let scored = candidates.map(|candidate| (score(candidate), candidate));
    // The first of equals, so that the answer does not depend on anything but the order of the list.
    let best = scored.reduce(|best, other| if other.0 > best.0 { other } else { best })?;
    (best.0 > 0.84).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::suggest;

    #[test]
    fn suggests_what_is_near_and_nothing_else() {
        let suggest = |given| suggest(given, ["address", "port_value", "named_port", "protocol"].into_iter());
        assert_eq!(suggest("port"), Some("port_value"));
        assert_eq!(suggest("adress"), Some("address"));
        assert_eq!(suggest("PortValue"), Some("port_value"));
        assert_eq!(suggest("weight"), None);
        assert_eq!(suggest(""), None);
    }
}
