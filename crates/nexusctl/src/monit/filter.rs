//! Words that a row or a line must have, or must not have.

/// What was typed after `/`: every word must be there, every `!word` must not. Capitals do not
/// count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    typed: String,
    with: Vec<String>,
    without: Vec<String>,
}

/// Characters that are kept of what is typed or pasted.
const TYPED_MAX: usize = 200;

impl Filter {
    /// Of what was typed.
    pub(super) fn parse(typed: &str) -> Filter {
        let typed: String = typed.chars().filter(|c| !c.is_control()).take(TYPED_MAX).collect();
        let mut filter = Filter::default();
        for word in typed.to_lowercase().split_whitespace() {
            match word.strip_prefix('!') {
                // A mark without a word yet.
                Some("") => {}
                Some(word) => filter.without.push(word.to_owned()),
                None => filter.with.push(word.to_owned()),
            }
        }
        filter.typed = typed;
        filter
    }

    /// As it was typed.
    pub(super) fn typed(&self) -> &str {
        &self.typed
    }

    /// Whether it lets everything through.
    pub(super) fn is_empty(&self) -> bool {
        self.with.is_empty() && self.without.is_empty()
    }

    /// Whether what consists of these texts is let through.
    pub(super) fn keeps(&self, texts: &[&str]) -> bool {
        if self.is_empty() {
            return true;
        }
        let texts: Vec<String> = texts.iter().map(|text| text.to_lowercase()).collect();
        let has = |word: &String| texts.iter().any(|text| text.contains(word.as_str()));
        self.with.iter().all(has) && !self.without.iter().any(has)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_counts_and_a_mark_turns_it_round() {
        let keeps = |typed: &str, texts: &[&str]| Filter::parse(typed).keeps(texts);
        assert!(keeps("", &["api"]));
        assert!(keeps("API", &["my-api", "online"]));
        assert!(keeps("api on", &["my-api", "online"]));
        assert!(!keeps("api off", &["my-api", "online"]));
        assert!(!keeps("!api", &["my-api"]));
        assert!(keeps("!web !", &["my-api"]));
        assert!(keeps("価", &["価格"]));
        assert!(Filter::parse(" ! ").is_empty());
        assert_eq!(Filter::parse("a\x1bb").typed(), "ab");
    }
}
