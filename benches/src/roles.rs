//! The data: roles as a catalog would store them, by size.

/// How many bytes a role's value has: a SCRAM verifier of 133 bytes, two instants and a few flags.
pub const ROLE_BYTES: usize = 160;

/// The key of role `number`.
pub fn key(number: u64) -> [u8; 16] {
    let mut key = *b"role/00000000000";
    let mut rest = number;
    for digit in key[5..].iter_mut().rev() {
        *digit = b'0' + (rest % 10).to_le_bytes()[0];
        rest /= 10;
    }
    key
}

/// A value of a role; `seed` makes it differ from others.
pub fn value(number: u64, seed: u64) -> [u8; ROLE_BYTES] {
    bytes(number, seed)
}

/// As many bytes as are asked for, which differ from those of another `number` or `seed`.
pub fn bytes<const COUNT: usize>(number: u64, seed: u64) -> [u8; COUNT] {
    let mut bytes = [0; COUNT];
    // What is stored is mostly random: nothing compresses it.
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ seed;
    for chunk in bytes.chunks_mut(8) {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        chunk.copy_from_slice(&state.to_be_bytes()[..chunk.len()]);
    }
    bytes
}
