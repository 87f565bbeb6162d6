//! The list of functions: names, arguments, documentation.

use std::borrow::Cow;

use datafusion::arrow::datatypes::DataType;
use huiliu_core::calendar::Calendar;
use huiliu_core::identifier;

use super::body::Body;

/// One SQL function.
#[derive(Debug)]
pub struct FunctionDefinition {
    /// Its name in SQL.
    pub name: &'static str,
    /// How it is called, with the kinds of its arguments and its result.
    pub call: &'static str,
    /// What it gives, in one line.
    pub about: &'static str,
    pub(super) arguments: &'static [Argument],
    /// Whether the last argument may be repeated.
    pub(super) repeats: bool,
    pub(super) returns: DataType,
    pub(super) body: Body,
}

/// What an argument must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Argument {
    /// A date, a timestamp (the date of its wall time), or text `yyyy-mm-dd`.
    Date,
    /// A whole number.
    Integer,
    /// Text.
    Text,
}

use Argument::{Date, Integer, Text};

pub(super) static FUNCTIONS: [FunctionDefinition; 23] = [
    FunctionDefinition {
        name: "is_workday",
        call: "is_workday(date) -> boolean",
        about: "whether people work on that day by the official calendar",
        arguments: &[Date],
        repeats: false,
        returns: DataType::Boolean,
        body: Body::DateTest(Calendar::is_workday_epoch),
    },
    FunctionDefinition {
        name: "workdays_between",
        call: "workdays_between(from date, to date) -> bigint",
        about: "working days after `from` up to and including `to`, negative if reversed",
        arguments: &[Date, Date],
        repeats: false,
        returns: DataType::Int64,
        body: Body::DatesBetween(Calendar::workdays_between_epoch),
    },
    FunctionDefinition {
        name: "add_workdays",
        call: "add_workdays(start date, days bigint) -> date",
        about: "the day that many working days after `start`, which is not counted",
        arguments: &[Date, Integer],
        repeats: false,
        returns: DataType::Date32,
        body: Body::DateAdd(Calendar::add_workdays_epoch),
    },
    FunctionDefinition {
        name: "add_natural_days",
        call: "add_natural_days(start date, days bigint) -> date",
        about: "the day that many days after `start`, or the next working day if that is off",
        arguments: &[Date, Integer],
        repeats: false,
        returns: DataType::Date32,
        body: Body::DateAdd(Calendar::add_natural_days_epoch),
    },
    text_test(
        "id_card_valid",
        "id_card_valid(text) -> boolean",
        "whether it is an identity number of 18 characters with real date and check digit",
        identifier::id_card_valid,
    ),
    text_test(
        "uscc_valid",
        "uscc_valid(text) -> boolean",
        "whether it is a unified social credit code with the right check character",
        identifier::uscc_valid,
    ),
    text_test(
        "org_code_valid",
        "org_code_valid(text) -> boolean",
        "whether it is an organisation code with the right check character",
        identifier::org_code_valid,
    ),
    text_test(
        "mobile_valid",
        "mobile_valid(text) -> boolean",
        "whether it is a mobile number, with or without +86, spaces and hyphens",
        identifier::mobile_valid,
    ),
    text_test(
        "task_code_valid",
        "task_code_valid(text) -> boolean",
        "whether it is an implementation code (31) or handling code (33) with valid parts",
        identifier::task_code_valid,
    ),
    text_test(
        "project_code_valid",
        "project_code_valid(text) -> boolean",
        "whether it is an investment project code of either national grammar",
        identifier::project_code_valid,
    ),
    FunctionDefinition {
        name: "item_code_part",
        call: "item_code_part(text, 'uscc' | 'level' | 'catalog' | 'serial') -> text",
        about: "a part of an implementation or handling code; null if the length is another",
        arguments: &[Text, Text],
        repeats: false,
        returns: DataType::Utf8,
        body: Body::ItemPart,
    },
    FunctionDefinition {
        name: "division_level",
        call: "division_level(code text) -> bigint",
        about: "1 nation, 2 province, 3 city, 4 county, 5 township, 6 village; null if no code",
        arguments: &[Text],
        repeats: false,
        returns: DataType::Int64,
        body: Body::TextNumber(|code| identifier::division_level(code).map(i64::from)),
    },
    text_map(
        "division_parent",
        "division_parent(code text) -> text",
        "the code of the division above, in the same length; null above a province",
        |code| identifier::division_parent(code).map(Cow::Owned),
    ),
    text_map(
        "mask_id",
        "mask_id(text) -> text",
        "an identity number with its first 6 and last 4 characters",
        |text| Some(Cow::Owned(identifier::mask_id(text))),
    ),
    text_map("mask_name", "mask_name(text) -> text", "a name with its first character", |text| {
        Some(Cow::Owned(identifier::mask_name(text)))
    }),
    text_map(
        "mask_mobile",
        "mask_mobile(text) -> text",
        "a mobile number with its first 3 and last 4 digits",
        |text| Some(Cow::Owned(identifier::mask_mobile(text))),
    ),
    text_map(
        "mask_landline",
        "mask_landline(text) -> text",
        "a landline with its area code and last 2 digits",
        |text| Some(Cow::Owned(identifier::mask_landline(text))),
    ),
    text_map(
        "mask_address",
        "mask_address(text) -> text",
        "an address down to its county",
        |text| Some(Cow::Owned(identifier::mask_address(text))),
    ),
    text_map(
        "mask_account",
        "mask_account(text) -> text",
        "a bank account with its last 4 digits",
        |text| Some(Cow::Owned(identifier::mask_account(text))),
    ),
    text_map(
        "mask_uscc",
        "mask_uscc(text) -> text",
        "a credit code, masked from the 9th character on if it is a sole trader's",
        |text| Some(Cow::Owned(identifier::mask_uscc(text))),
    ),
    text_map(
        "to_halfwidth",
        "to_halfwidth(text) -> text",
        "the text with full-width letters, digits, signs and spaces made ordinary",
        |text| Some(identifier::to_halfwidth(text)),
    ),
    FunctionDefinition {
        name: "code_map",
        call: "code_map('table', code text) -> text",
        about: "what a code means by config/codes/<table>.csv; null if the table lacks it",
        arguments: &[Text, Text],
        repeats: false,
        returns: DataType::Utf8,
        body: Body::CodeMap,
    },
    FunctionDefinition {
        name: "multi_has",
        call: "multi_has(values text, value text, ...) -> boolean",
        about: "whether a `^`-separated list holds any of the values; false for a null list",
        arguments: &[Text, Text],
        repeats: true,
        returns: DataType::Boolean,
        body: Body::MultiHas,
    },
];

const fn text_test(
    name: &'static str,
    call: &'static str,
    about: &'static str,
    test: fn(&str) -> bool,
) -> FunctionDefinition {
    FunctionDefinition {
        name,
        call,
        about,
        arguments: &[Text],
        repeats: false,
        returns: DataType::Boolean,
        body: Body::TextTest(test),
    }
}

const fn text_map(
    name: &'static str,
    call: &'static str,
    about: &'static str,
    map: for<'a> fn(&'a str) -> Option<Cow<'a, str>>,
) -> FunctionDefinition {
    FunctionDefinition {
        name,
        call,
        about,
        arguments: &[Text],
        repeats: false,
        returns: DataType::Utf8,
        body: Body::TextMap(map),
    }
}
