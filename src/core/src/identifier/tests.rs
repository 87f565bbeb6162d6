use super::*;

const VECTORS: &str = include_str!("../../../../tests/fixtures/id_vectors.csv");
const MASKS: &str = include_str!("../../../../tests/fixtures/masking_rules.csv");

#[test]
fn every_identifier_vector_is_judged_as_listed() {
    let mut reader = csv::Reader::from_reader(VECTORS.as_bytes());
    let mut count = 0;
    for row in reader.records() {
        let row = row.unwrap();
        let (kind, value) = (&row[0], &row[1]);
        let valid = match kind {
            "resident_id" => id_card_valid(value),
            "uscc" => uscc_valid(value),
            "org_code" => org_code_valid(value),
            "task_code_33" => value.len() == 33 && task_code_valid(value),
            "mobile" => mobile_valid(value),
            other => panic!("kind {other}"),
        };
        assert_eq!(valid, &row[2] == "1", "{kind} {value}: {}", &row[3]);
        count += 1;
    }
    assert_eq!(count, 15);
}

#[test]
fn every_masking_example_comes_out_as_listed() {
    let mut reader = csv::Reader::from_reader(MASKS.as_bytes());
    let mut count = 0;
    for row in reader.records() {
        let row = row.unwrap();
        let (field, input) = (&row[0], &row[3]);
        let masked = match field {
            "居民身份证号码" => mask_id(input),
            "姓名" | "姓名(单名)" | "法定代表人姓名" => mask_name(input),
            "手机号码" => mask_mobile(input),
            "固定电话" => mask_landline(input),
            "通讯地址" => mask_address(input),
            "银行账号" => mask_account(input),
            "统一社会信用代码(法人)" => mask_uscc(input),
            // What is hashed; the hash itself is made by the store, which has the key.
            "证件散列(连接键)" => {
                let number = input.rsplit(':').next().unwrap();
                let (kind, number) = certificate(number);
                assert_eq!(format!("{kind}:{number}"), input, "{field}");
                count += 1;
                continue;
            }
            // Not an example but a description.
            "统一社会信用代码(个体工商户)" => continue,
            other => panic!("field {other}"),
        };
        assert_eq!(masked, &row[4], "{field}");
        count += 1;
    }
    assert_eq!(count, 10);
}

#[test]
fn any_single_wrong_digit_of_an_identity_number_is_found() {
    let number = "11010519491231002X";
    for position in 0..17 {
        for digit in b'0'..=b'9' {
            let mut bytes = number.as_bytes().to_vec();
            if bytes[position] == digit {
                continue;
            }
            bytes[position] = digit;
            assert!(!id_card_valid(std::str::from_utf8(&bytes).unwrap()));
        }
    }
    assert!(id_card_valid("11010519491231002x"));
    assert!(!id_card_valid("１1010519491231002X"));
    assert!(!id_card_valid(" 11010519491231002X"));
    assert!(!id_card_valid(""));
}

#[test]
fn the_old_identity_number_needs_a_real_date() {
    assert!(id_card_old_form_valid("340502800101001"));
    assert!(!id_card_old_form_valid("340502801301001"));
    assert!(!id_card_valid("340502800101001"));
}

#[test]
fn organisation_codes_may_have_a_hyphen_only_before_the_check_digit() {
    assert!(org_code_valid("D2143569-X"));
    assert!(!org_code_valid("D214356-9X"));
    assert!(!org_code_valid("D21435690"));
    assert!(!org_code_valid("机构代码"));
}

#[test]
fn mobile_numbers_may_carry_prefix_spaces_and_hyphens() {
    assert!(mobile_valid("+86 138-0013-8000"));
    assert!(!mobile_valid("1380013800"));
    assert!(!mobile_valid("0555-2345678"));
}

#[test]
fn item_codes_split_into_their_parts() {
    let code = ItemCode::split("11450000007565194H200011501500504").unwrap();
    assert_eq!(code.uscc, "11450000007565194H");
    assert_eq!((code.use_level, code.catalog), ("2", "000115015005"));
    assert_eq!(code.serial, Some("04"));
    assert!(task_code_valid("11450000007565194H2000115015005"));
    assert!(!task_code_valid("11450000007565194H9000115015005"));
    assert!(!task_code_valid("11450000007565194A2000115015005"));
    assert_eq!(ItemCode::split("11450000007565194H2000115015"), None);
    assert_eq!(ItemCode::split("事项"), None);
}

#[test]
fn project_codes_follow_the_grammar_of_their_time() {
    use ProjectCodeForm::{ByMonth, ByYear, Local};
    for (text, form) in [
        ("2018-340500-47-03-012345", Some(ByYear)),
        ("2020-340500-47-01-012345", Some(ByYear)),
        ("2018-340500-47-04-012345", None),
        ("2011-340500-04-01-123456", Some(ByMonth)),
        ("2012-340500-04-05-123456", Some(ByMonth)),
        ("2101-340500-04-01-123456", Some(ByMonth)),
        ("2113-340500-04-01-123456", None),
        ("1811-340500-47-03-012345", None),
        ("2018-340500-4700-B01-012345", Some(Local)),
        ("2018-340500-47-03-01234", None),
        ("2018-340500-47-03", None),
        ("2018-340500-47-03-012345-1", None),
        ("2018340500470301234500", None),
        ("审核中", None),
        ("驳回", None),
        ("作废", None),
        ("", None),
    ] {
        assert_eq!(project_code_form(text), form, "{text}");
        assert_eq!(project_code_valid(text), form.is_some_and(|form| form != Local), "{text}");
    }
}

#[test]
fn divisions_know_their_level_and_parent() {
    for (code, level, parent) in [
        ("000000", Some(1), None),
        ("340000", Some(2), None),
        ("340500", Some(3), Some("340000")),
        ("340503", Some(4), Some("340500")),
        ("340503001", Some(5), Some("340503000")),
        ("340503000000", Some(4), Some("340500000000")),
        ("340503001000", Some(5), Some("340503000000")),
        ("340503001002", Some(6), Some("340503001000")),
        ("441900003000", Some(5), Some("441900000000")),
        ("3405", None, None),
        ("34050A", None, None),
        ("马鞍", None, None),
    ] {
        assert_eq!(division_level(code), level, "{code}");
        assert_eq!(division_parent(code).as_deref(), parent, "{code}");
    }
}

#[test]
fn masks_hide_what_does_not_have_the_expected_form() {
    assert_eq!(mask_id("340502800101001"), "340502*****1001");
    assert_eq!(mask_id("E1234567"), "********");
    assert_eq!(mask_name("李"), "*");
    assert_eq!(mask_name("欧阳修文"), "欧***");
    assert_eq!(mask_mobile("+86 138 0013 8000"), "138****8000");
    assert_eq!(mask_mobile("0555-2345678"), "0555-*****78");
    assert_eq!(mask_mobile("12345"), "*****");
    assert_eq!(mask_landline("05552345678"), "0555*****78");
    assert_eq!(mask_landline("2345678"), "*******");
    assert_eq!(mask_account("1234"), "****");
    assert_eq!(mask_uscc("92340500MA2N000000"), "92340500**********");
}

#[test]
fn addresses_are_kept_to_the_county_whatever_follows() {
    for (address, masked) in [
        ("马鞍山市雨山区雨山街道幸福小区3栋", "马鞍山市雨山区****"),
        ("安徽省马鞍山市当涂县城市花园1栋", "安徽省马鞍山市当涂县****"),
        ("安徽省合肥市巢湖市人民路5号", "安徽省合肥市巢湖市****"),
        ("和县历阳镇和州路9号", "和县****"),
        ("马鞍山市湖东路1号花山小区", "马鞍山市****"),
        ("马鞍山市幸福小区3栋", "马鞍山市****"),
        ("马鞍山市经济技术开发区红旗路2号", "马鞍山市经济技术开发区****"),
        ("广西壮族自治区南宁市青秀区民族大道", "广西壮族自治区南宁市青秀区****"),
        ("河北省唐山市路南区新华道", "河北省唐山市路南区****"),
        ("江西省景德镇市浮梁县城", "江西省景德镇市浮梁县****"),
        ("马鞍山市红旗路2号", "马鞍山市****"),
        ("湖东路1号", "****"),
        ("某人家", "****"),
        ("", ""),
    ] {
        assert_eq!(mask_address(address), masked, "{address}");
    }
}

#[test]
fn one_certificate_has_one_number_however_it_is_written() {
    for (kind, number, written) in [
        ("111", "11010519491231002X", "11010519491231002X"),
        ("111", "11010519491231002X", " 11010519491231002x\n"),
        ("111", "11010519491231002X", "１１０１０５１９４９１２３１００２ｘ"),
        ("111", "11010519491231002X", "110105 1949 1231 002X"),
        ("111", "11010519491231002X", "\u{feff}11010519491231002X\u{3000}"),
        ("111", "340502198001010011", "340502800101001"),
        ("111", "340502198001010011", "340502198001010011"),
        // With a wrong check digit.
        ("111", "340502198001010012", "340502198001010012"),
        ("001", "91350100M000100Y43", "91350100m000100y43"),
        ("002", "D2143569X", "D2143569-X"),
        ("002", "D2143569X", "d2143569x"),
        ("990", "E1234567", "e1234567"),
        ("990", "340502801301001", "340502801301001"),
        ("990", "", " "),
    ] {
        assert_eq!(certificate(written), (kind, number.to_owned()), "{written}");
    }
}

#[test]
fn full_width_characters_become_ordinary_ones() {
    assert_eq!(to_halfwidth("３４０５０３（Ａ）　ｘ～"), "340503(A) x~");
    assert!(matches!(to_halfwidth("证照ABC"), Cow::Borrowed(_)));
}
