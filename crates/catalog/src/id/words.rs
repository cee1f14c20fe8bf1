//! The words that ids are made of.

#[rustfmt::skip]
pub(super) const ADJECTIVES: &[&str] = &[
    "aged", "ancient", "autumn", "billowing", "bitter", "black", "blue", "bold", "broad", "broken", "calm",
    "cold", "cool", "crimson", "curly", "damp", "dark", "dawn", "delicate", "divine", "dry", "empty", "falling",
    "fancy", "flat", "floral", "fragrant", "frosty", "gentle", "green", "hidden", "holy", "icy", "jolly",
    "late", "lingering", "little", "lively", "long", "lucky", "misty", "morning", "muddy", "mute", "nameless",
    "noisy", "odd", "old", "orange", "patient", "plain", "polished", "proud", "purple", "quiet", "rapid",
    "raspy", "red", "restless", "rough", "round", "royal", "shiny", "shrill", "shy", "silent", "small", "snowy",
    "soft", "solitary", "sparkling", "spring", "square", "steep", "still", "summer", "super", "sweet", "tight",
    "tiny", "twilight", "wandering", "weathered", "white", "wild", "winter", "wispy", "withered", "yellow",
    "young",
];

#[rustfmt::skip]
pub(super) const NOUNS: &[&str] = &[
    "art", "band", "bar", "base", "bird", "block", "boat", "bonus", "bread", "breeze", "brook", "bush",
    "butterfly", "cake", "cell", "cherry", "cloud", "credit", "darkness", "dawn", "dew", "disk", "dream",
    "dust", "feather", "field", "fire", "firefly", "flower", "fog", "forest", "frog", "frost", "glade",
    "glitter", "grass", "hall", "hat", "haze", "heart", "hill", "king", "lab", "lake", "leaf", "limit", "math",
    "meadow", "mode", "moon", "morning", "mountain", "mouse", "mud", "night", "paper", "pine", "poetry", "pond",
    "queen", "rain", "recipe", "resonance", "rice", "river", "salad", "scene", "sea", "shadow", "shape",
    "silence", "sky", "smoke", "snow", "snowflake", "sound", "star", "sun", "sunset", "surf", "term", "thunder",
    "tooth", "tree", "truth", "union", "unit", "violet", "voice", "water", "waterfall", "wave", "wildflower",
    "wind", "wood",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_short_sorted_and_without_hyphens() {
        for words in [ADJECTIVES, NOUNS] {
            assert!(words.is_sorted());
            assert!(words.iter().all(|word| word.len() <= 10 && word.bytes().all(|byte| byte.is_ascii_lowercase())));
        }
    }
}
