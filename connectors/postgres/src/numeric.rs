//! Exact numbers in the server's binary form: groups of four decimal digits.

/// The sign words of the binary form.
const NEGATIVE: u16 = 0x4000;
const NOT_A_NUMBER: u16 = 0xc000;
const INFINITE: u16 = 0xd000;
const NEGATIVE_INFINITE: u16 = 0xf000;

/// Why a number is not a decimal of a column's precision and scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// It is no number, or infinite.
    NoNumber,
    /// It has more digits than the column.
    Digits,
    /// The bytes are not a number at all.
    Form,
}

const POWERS: [u16; 4] = [1, 10, 100, 1000];

fn word(bytes: &[u8], index: usize) -> Option<u16> {
    let pair = bytes.get(index * 2..index * 2 + 2)?;
    Some(u16::from_be_bytes([pair[0], pair[1]]))
}

/// Reads a number as a whole count of `10^-scale`, below `limit`, or not at all.
#[inline]
pub(crate) fn decode(bytes: &[u8], scale: i32, limit: i128) -> Result<i128, Unfit> {
    let (&[count, count_low, weight, weight_low, sign, sign_low, _, _], digits) =
        bytes.split_first_chunk::<8>().ok_or(Unfit::Form)?;
    let count = usize::from(u16::from_be_bytes([count, count_low]));
    let weight = i32::from(i16::from_be_bytes([weight, weight_low]));
    let sign = u16::from_be_bytes([sign, sign_low]);
    if digits.len() != count * 2 {
        return Err(Unfit::Form);
    }
    if sign != 0 && sign != NEGATIVE {
        return Err(match sign {
            NOT_A_NUMBER | INFINITE | NEGATIVE_INFINITE => Unfit::NoNumber,
            _ => Unfit::Form,
        });
    }
    // The power of ten of the last group, in units of the column.
    let groups = i32::try_from(count).map_err(|_| Unfit::Form)?;
    let power = 4 * (weight - groups + 1) + scale;
    let value = if count <= 4 { short(digits, power) } else { long(digits, power) }?;
    if value >= limit {
        return Err(Unfit::Digits);
    }
    Ok(if sign == NEGATIVE { -value } else { value })
}

/// Up to four groups fit 64 bits.
#[inline]
fn short(digits: &[u8], power: i32) -> Result<i128, Unfit> {
    let mut value = 0_u64;
    for group in digits.chunks_exact(2) {
        let group = u16::from_be_bytes([group[0], group[1]]);
        if group > 9999 {
            return Err(Unfit::Form);
        }
        value = value * 10_000 + u64::from(group);
    }
    if value == 0 {
        return Ok(0);
    }
    if power >= 0 {
        return raise(i128::from(value), power);
    }
    let divisor = power
        .checked_neg()
        .and_then(|power| 10_u64.checked_pow(power.unsigned_abs()))
        .ok_or(Unfit::Digits)?;
    if value.is_multiple_of(divisor) { Ok(i128::from(value / divisor)) } else { Err(Unfit::Digits) }
}

fn long(digits: &[u8], power: i32) -> Result<i128, Unfit> {
    let count = digits.len() / 2;
    let mut value = 0_i128;
    for index in 0..count {
        let group = word(digits, index).filter(|group| *group <= 9999).ok_or(Unfit::Form)?;
        // What lies behind the column's last digit is cut off, and must be zero.
        let below = 4 * i32::try_from(count - 1 - index).map_err(|_| Unfit::Form)? + power;
        let (kept, width) = match usize::try_from(-below) {
            Ok(cut) if cut >= 4 => {
                if group != 0 {
                    return Err(Unfit::Digits);
                }
                continue;
            }
            Ok(cut) => {
                if group % POWERS[cut] != 0 {
                    return Err(Unfit::Digits);
                }
                (group / POWERS[cut], 4 - cut)
            }
            Err(_) => (group, 4),
        };
        value = raise(value, i32::try_from(width).map_err(|_| Unfit::Form)?)?
            .checked_add(i128::from(kept))
            .ok_or(Unfit::Digits)?;
    }
    raise(value, power.max(0))
}

fn raise(value: i128, power: i32) -> Result<i128, Unfit> {
    if value == 0 {
        return Ok(0);
    }
    10_i128
        .checked_pow(power.unsigned_abs())
        .and_then(|factor| value.checked_mul(factor))
        .ok_or(Unfit::Digits)
}

/// Writes `value * 10^-scale` in the binary form, without its length.
pub(crate) fn encode(value: i128, scale: u16, out: &mut Vec<u8>) {
    // 39 digits and a fraction that does not end on a group take 11 groups.
    let mut groups = [0_u16; 16];
    let mut count = 0;
    let mut rest = value.unsigned_abs();
    let odd = usize::from(scale % 4);
    let mut push = |group: u128, groups: &mut [u16; 16]| {
        groups[count] = u16::try_from(group).unwrap_or_default();
        count += 1;
    };
    if odd != 0 {
        let power = u128::from(POWERS[odd]);
        push(rest % power * u128::from(POWERS[4 - odd]), &mut groups);
        rest /= power;
    }
    while rest > u128::from(u64::MAX) {
        push(rest % 10_000, &mut groups);
        rest /= 10_000;
    }
    let mut rest = u64::try_from(rest).unwrap_or_default();
    while rest > 0 {
        push(u128::from(rest % 10_000), &mut groups);
        rest /= 10_000;
    }
    let first = groups[..count].iter().position(|group| *group != 0).unwrap_or(count);
    let last = groups[..count].iter().rposition(|group| *group != 0).map_or(first, |at| at + 1);
    let digits = &groups[first..last];
    let fraction_groups = i32::from(scale).div_euclid(4) + i32::from(odd != 0);
    let weight = if digits.is_empty() {
        0
    } else {
        i32::try_from(last).unwrap_or_default() - 1 - fraction_groups
    };
    out.extend_from_slice(&u16::try_from(digits.len()).unwrap_or_default().to_be_bytes());
    out.extend_from_slice(&i16::try_from(weight).unwrap_or_default().to_be_bytes());
    let sign = if value < 0 { NEGATIVE } else { 0 };
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&scale.to_be_bytes());
    for group in digits.iter().rev() {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

/// The number as the server writes it, for rows that are kept as they came.
pub(crate) fn text(bytes: &[u8]) -> Option<String> {
    let count = i32::from(word(bytes, 0)?);
    let weight = i32::from(word(bytes, 1)?.cast_signed());
    let sign = word(bytes, 2)?;
    let scale = usize::from(word(bytes, 3)?);
    match sign {
        NOT_A_NUMBER => return Some("NaN".into()),
        INFINITE => return Some("Infinity".into()),
        NEGATIVE_INFINITE => return Some("-Infinity".into()),
        _ => {}
    }
    let group = |index: i32| {
        let index = usize::try_from(index).ok().filter(|_| index < count);
        index.map_or(Some(0), |index| word(bytes, 4 + index))
    };
    let mut text = String::from(if sign == NEGATIVE { "-" } else { "" });
    text.push_str(&group(0).filter(|_| weight >= 0).unwrap_or(0).to_string());
    for index in 1..=weight {
        text.push_str(&format!("{:04}", group(index)?));
    }
    if scale > 0 {
        let mut fraction = String::new();
        let mut index = weight + 1;
        while fraction.len() < scale {
            fraction.push_str(&format!("{:04}", if index < 0 { 0 } else { group(index)? }));
            index += 1;
        }
        fraction.truncate(scale);
        text.push('.');
        text.push_str(&fraction);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    fn limit(precision: u32) -> i128 {
        10_i128.pow(precision)
    }

    fn bytes(value: i128, scale: u16) -> Vec<u8> {
        let mut out = Vec::new();
        encode(value, scale, &mut out);
        out
    }

    #[test]
    fn known_numbers_have_the_servers_form() {
        // 12345.678 as `select numeric_send(12345.678)` gives it.
        let sent = [0, 3, 0, 1, 0, 0, 0, 3, 0, 1, 9, 41, 26, 124];
        assert_eq!(bytes(12_345_678, 3), sent);
        assert_eq!(decode(&sent, 3, limit(10)), Ok(12_345_678));
        assert_eq!(decode(&sent, 2, limit(10)), Err(Unfit::Digits));
        assert_eq!(decode(&sent, 3, limit(7)), Err(Unfit::Digits));
        assert_eq!(text(&sent).as_deref(), Some("12345.678"));
        assert_eq!(bytes(0, 2), [0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(text(&bytes(0, 2)).as_deref(), Some("0.00"));
        assert_eq!(text(&bytes(-5, 6)).as_deref(), Some("-0.000005"));
        assert_eq!(decode(&[0, 0, 0, 0, 0xc0, 0, 0, 0], 0, 10), Err(Unfit::NoNumber));
        assert_eq!(decode(&[0, 0, 0, 0, 0xf0, 0, 0, 32], 0, 10), Err(Unfit::NoNumber));
    }

    #[test]
    fn random_numbers_come_back_and_broken_bytes_do_no_harm() {
        let mut seed = 0x2018_u64;
        let mut next = || {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            seed >> 16
        };
        for _ in 0..50_000 {
            let precision = u32::try_from(next() % 38 + 1).unwrap();
            let scale = u16::try_from(next() % u64::from(precision + 1)).unwrap();
            let wide = (i128::from(next()) << 96) ^ (i128::from(next()) << 48) ^ i128::from(next());
            let value = wide % limit(precision);
            let sent = bytes(value, scale);
            assert_eq!(decode(&sent, i32::from(scale), limit(precision)), Ok(value), "{scale}");
            let shown = text(&sent).unwrap();
            let plain: i128 = shown.replace('.', "").parse().unwrap();
            assert_eq!(plain, value);
            let mut broken = sent.clone();
            let at = usize::try_from(next()).unwrap() % broken.len();
            broken[at] ^= u8::try_from(next() % 255 + 1).unwrap();
            black_box(decode(&broken, i32::from(scale), limit(precision))).ok();
            black_box(decode(&broken[..at], i32::from(scale), limit(precision))).ok();
            black_box(text(&broken[..at]));
        }
        let widest = limit(38) - 1;
        for scale in 0..=38_u16 {
            assert_eq!(decode(&bytes(-widest, scale), i32::from(scale), limit(38)), Ok(-widest));
        }
    }
}
