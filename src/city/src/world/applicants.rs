//! The people and organisations that apply; many of them more than once.

use std::collections::HashSet;
use std::sync::Arc;

use rand::Rng;
use rand::rngs::StdRng;

use super::identity::{applicant_credit_code, mobile, resident_number};
use super::words::{BRANDS, GIVEN, SURNAMES, TRADES};
use crate::seed::{chance, generator, pick};

/// A person or an organisation.
#[derive(Debug)]
pub(crate) struct Applicant {
    pub(crate) is_person: bool,
    /// Whether the number passes its check.
    pub(crate) is_valid: bool,
    pub(crate) name: Arc<str>,
    pub(crate) number: Arc<str>,
    pub(crate) mobile: Arc<str>,
    /// Who is asked: the person, or somebody of the organisation.
    pub(crate) contact: Arc<str>,
}

impl Applicant {
    /// `1` for a person, `2` for an organisation.
    pub(crate) fn kind(&self) -> &'static str {
        if self.is_person { "1" } else { "2" }
    }

    /// The kind of the number: `111` resident's number, `001` credit code.
    pub(crate) fn number_kind(&self) -> &'static str {
        if self.is_person { "111" } else { "001" }
    }
}

/// `count` applicants with different numbers.
pub(crate) fn applicants(seed: u64, count: usize) -> Vec<Applicant> {
    let mut rng = generator(seed, "applicants");
    let mut numbers = HashSet::with_capacity(count);
    let mut applicants = Vec::with_capacity(count);
    while applicants.len() < count {
        let is_person = chance(&mut rng, 0.75);
        let (number, is_valid) =
            if is_person { resident_number(&mut rng) } else { applicant_credit_code(&mut rng) };
        let number: Arc<str> = number.into();
        if !numbers.insert(Arc::clone(&number)) {
            continue;
        }
        let contact: Arc<str> = person_name(&mut rng).into();
        let name = if is_person {
            Arc::clone(&contact)
        } else {
            let serial = rng.random_range(0..100);
            let numeral = if serial < 70 { String::new() } else { format!("第{}", serial - 69) };
            let (brand, trade) = (pick(&mut rng, BRANDS), pick(&mut rng, TRADES));
            format!("马鞍山{brand}{numeral}{trade}有限公司").into()
        };
        let mobile = mobile(&mut rng).into();
        applicants.push(Applicant { is_person, is_valid, name, number, mobile, contact });
    }
    applicants
}

/// A composed name of a person.
pub(crate) fn person_name(rng: &mut StdRng) -> String {
    let mut name = pick(rng, SURNAMES).to_owned();
    name.push_str(pick(rng, GIVEN));
    if chance(rng, 0.7) {
        name.push_str(pick(rng, GIVEN));
    }
    name
}
