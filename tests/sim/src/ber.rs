//! The few ASN.1 values an enrolment token file is made of, written by hand.
//!
//! Apple's portal writes BER with indefinite lengths, and OpenSSL writes it only when it streams, in
//! pieces of its own choosing. A reader that knows DER alone fails on the real file, so ours must have the
//! same layout. Cryptography stays with `portal`.

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
/// `[0]`, constructed: an explicit tag around one value, or a string in segments.
pub(crate) const CONTEXT_0: u8 = 0xa0;
/// `[0]`, primitive: a string in one piece.
pub(crate) const CONTEXT_0_PRIMITIVE: u8 = 0x80;

/// rsaEncryption and no parameters: RSAES-PKCS1-v1_5, as `AlgorithmIdentifier`.
pub(crate) const RSA_ENCRYPTION: &[u8] =
    &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
/// 1.2.840.113549.1.7.1, data.
pub(crate) const DATA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
/// 1.2.840.113549.1.7.3, envelopedData.
pub(crate) const ENVELOPED_DATA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03];
/// 2.16.840.1.101.3.4.1.2, aes128-CBC.
pub(crate) const AES_128_CBC: &[u8] = &[0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x02];

/// A value whose length is known: DER.
pub(crate) fn definite(tag: u8, content: &[&[u8]]) -> Vec<u8> {
    let length = content.iter().map(|part| part.len()).sum::<usize>();
    let mut out = vec![tag];
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let bytes = length.to_be_bytes();
        let significant = &bytes[bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len() - 1)..];
        out.push(0x80 | significant.len() as u8);
        out.extend_from_slice(significant);
    }
    out.extend(content.iter().copied().flatten());
    out
}

/// A value that ends when two zero octets say so.
pub(crate) fn indefinite(tag: u8, content: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![tag, 0x80];
    out.extend(content.iter().copied().flatten());
    out.extend_from_slice(&[0, 0]);
    out
}

/// A number of any size, given by its absolute value.
pub(crate) fn integer(magnitude: &[u8], negative: bool) -> Vec<u8> {
    let significant = magnitude.iter().position(|byte| *byte != 0).map_or(&[0][..], |at| &magnitude[at..]);
    let mut bytes = vec![0];
    bytes.extend_from_slice(significant);
    if negative {
        // Two's complement: invert, then add one.
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
        for byte in bytes.iter_mut().rev() {
            let (sum, carry) = byte.overflowing_add(1);
            *byte = sum;
            if !carry {
                break;
            }
        }
    }
    // The sign octet stays only where the next one would say the opposite.
    let superfluous = bytes.len() > 1 && bytes[0] == if bytes[1] & 0x80 == 0 { 0x00 } else { 0xff };
    definite(INTEGER, &[&bytes[usize::from(superfluous)..]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(bytes: Vec<u8>, expect: Expect) {
        let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>();
        expect.assert_eq(&hex.join(" "));
    }

    #[test]
    fn a_short_length_takes_one_octet_and_a_long_one_says_how_many() {
        check(definite(OCTET_STRING, &[b"ab", b"c"]), expect!["04 03 61 62 63"]);
        check(definite(OCTET_STRING, &[&[7; 200]])[..4].to_vec(), expect!["04 81 c8 07"]);
        check(definite(OCTET_STRING, &[&[7; 512]])[..5].to_vec(), expect!["04 82 02 00 07"]);
        check(definite(SEQUENCE, &[]), expect!["30 00"]);
    }

    #[test]
    fn an_indefinite_value_ends_in_two_zeros() {
        check(indefinite(SEQUENCE, &[&[1, 1, 0xff]]), expect!["30 80 01 01 ff 00 00"]);
    }

    #[test]
    fn integers_keep_their_sign_in_as_few_octets_as_possible() {
        check(integer(&[], false), expect!["02 01 00"]);
        check(integer(&[0, 1], false), expect!["02 01 01"]);
        check(integer(&[0x7f], false), expect!["02 01 7f"]);
        check(integer(&[0x80], false), expect!["02 02 00 80"]);
        check(integer(&[0x80], true), expect!["02 01 80"]);
        check(integer(&[1], true), expect!["02 01 ff"]);
        check(integer(&[1, 0], true), expect!["02 02 ff 00"]);
    }
}
