use super::*;

const ID: &str = "78231464";
const GOOD: &[u8] = br#"{"confirm":"78231464"}"#;
const JSON: &[u8] = b"application/json";

fn id() -> AccountId {
    AccountId::parse(ID).unwrap()
}

fn asked(content_type: Option<&[u8]>, body: Option<&[u8]>) -> Result<RequestBody, RefusalCode> {
    request("acme", Some(&id()), content_type, body).map_err(|refusal| refusal.code)
}

fn wait() -> CooldownLeft {
    CooldownLeft {
        left: Duration::from_secs(7),
        since: Duration::from_secs(1_759_499_127),
        clock_behind: false,
    }
}

#[test]
fn a_good_request_passes() {
    let whole =
        br#" {"confirm":"7823-1464","reason":"why","dry_run":true,"expected_unanswered":5}"#;
    let body = asked(Some(JSON), Some(whole)).unwrap();
    let expected = RequestBody {
        confirm: Some("7823-1464".to_owned()),
        reason: Some("why".to_owned()),
        dry_run: true,
        expected_unanswered: Some(5),
    };
    assert_eq!(body, expected);
    let body = asked(Some(JSON), Some(GOOD)).unwrap();
    assert!(!body.dry_run && body.reason.is_none() && body.expected_unanswered.is_none());
}

#[test]
fn only_json_is_json() {
    for good in ["application/json", "Application/JSON", "application/json; charset=utf-8"] {
        assert!(asked(Some(good.as_bytes()), Some(GOOD)).is_ok(), "{good}");
    }
    for bad in [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "text/json",
        "application/jsonp",
        "application/json, text/plain",
        "application/json; charset=utf-16",
        "application/json; boundary=x",
        "text/plain; application/json",
    ] {
        let refused = asked(Some(bad.as_bytes()), Some(GOOD));
        assert_eq!(refused, Err(RefusalCode::UnsupportedMediaType), "{bad}");
    }
    assert_eq!(asked(None, Some(GOOD)), Err(RefusalCode::UnsupportedMediaType));
    assert_eq!(asked(Some(b"\xff"), Some(GOOD)), Err(RefusalCode::UnsupportedMediaType));
}

#[test]
fn a_body_that_is_not_exactly_the_documented_one_is_refused() {
    let long = format!(r#"{{"confirm":"78231464","reason":"{}"}}"#, "x".repeat(501));
    for bad in [
        "",
        "{",
        "null",
        "[]",
        r#"["78231464",null,false,null]"#,
        r#""78231464""#,
        r#"{"confirm":78231464}"#,
        r#"{"confirm":"78231464","force":true}"#,
        r#"{"confirm":"78231464","confirm":"78231464"}"#,
        r#"{"confirm":"78231464","dry_run":"true"}"#,
        r#"{"confirm":"78231464","dry_run":null}"#,
        r#"{"confirm":"78231464","dry-run":true}"#,
        r#"{"confirm":"78231464","expected_unanswered":-1}"#,
        r#"{"confirm":"78231464","expected_unanswered":1.5}"#,
        r#"{"confirm":"78231464","expected_unanswered":"7"}"#,
        r#"{"confirm":"78231464"}{"confirm":"78231464"}"#,
        "confirm=78231464",
        &long,
    ] {
        assert_eq!(asked(Some(JSON), Some(bad.as_bytes())), Err(RefusalCode::InvalidBody), "{bad}");
    }
    assert_eq!(asked(Some(JSON), None), Err(RefusalCode::BodyTooLarge));
}

#[test]
fn a_refused_body_is_not_repeated() {
    let body = br#"{"confirm":"78231464","token":"s3cr3t"}"#;
    let refusal = request("acme", Some(&id()), Some(JSON), Some(body)).unwrap_err().message;
    assert!(!refusal.contains("s3cr3t") && refusal.contains("column"), "{refusal}");
}

#[test]
fn the_confirmation_is_the_number_of_this_account() {
    for bad in ["{}", r#"{"confirm":null}"#, r#"{"confirm":""}"#, r#"{"confirm":"acme"}"#] {
        let refused = asked(Some(JSON), Some(bad.as_bytes()));
        assert_eq!(refused, Err(RefusalCode::ConfirmationMismatch), "{bad}");
    }
    for bad in ["78231465", "7823146", "782314640", " 78231464 "] {
        let body = format!(r#"{{"confirm":"{bad}"}}"#);
        let refused = asked(Some(JSON), Some(body.as_bytes()));
        assert_eq!(refused, Err(RefusalCode::ConfirmationMismatch), "{bad}");
    }
    let without_id = request("acme", None, Some(JSON), Some(GOOD)).unwrap_err();
    assert_eq!(without_id.code, RefusalCode::ConfirmationMismatch);
}

fn figures(red: u64, grey: u64, other: u64) -> Figures {
    let total = red.saturating_add(grey).saturating_add(other);
    Figures { red, grey, other, total, users: 3 }
}

/// One after the other as a request meets them, each failing where its bit is set.
fn refusal_of(failing: usize) -> Option<RefusalCode> {
    let fails = |guard: usize| failing & (1 << guard) != 0;
    let content_type: &[u8] = if fails(0) { b"text/plain" } else { JSON };
    let body: Option<&[u8]> = match (fails(1), fails(2), fails(3)) {
        (true, ..) => None,
        (_, true, _) => Some(b"{"),
        (.., true) => Some(br#"{"confirm":"11111111"}"#),
        _ => Some(GOOD),
    };
    let whole = || {
        let body = request("acme", Some(&id()), Some(content_type), body)?;
        availability(fails(4), fails(5), fails(6).then(wait))?;
        let counted = figures(600, 300, if fails(8) { 101 } else { 100 });
        let read =
            if fails(7) { Err(FullReadError::Incomplete("2".to_owned())) } else { Ok(counted) };
        unanswered(&complete(read)?, 1000, body.expected_unanswered)
    };
    whole().err().map(|refusal: Refusal| refusal.code)
}

#[test]
fn the_first_guard_that_fails_answers_alone_and_in_every_combination() {
    const ORDER: [RefusalCode; 9] = [
        RefusalCode::UnsupportedMediaType,
        RefusalCode::BodyTooLarge,
        RefusalCode::InvalidBody,
        RefusalCode::ConfirmationMismatch,
        RefusalCode::ResetInProgress,
        RefusalCode::Locked,
        RefusalCode::Cooldown,
        RefusalCode::IncompleteReading,
        RefusalCode::TooManyUnanswered,
    ];
    assert_eq!(refusal_of(0), None);
    for failing in 1_usize..1 << ORDER.len() {
        let first = failing.trailing_zeros() as usize;
        assert_eq!(refusal_of(failing), Some(ORDER[first]), "{failing:09b}");
    }
}

#[test]
fn more_than_the_bound_needs_its_number_and_no_less() {
    let total = |red, max, expected| unanswered(&figures(red, 0, 0), max, expected).is_ok();
    assert!(total(1000, 1000, None) && total(0, 0, None));
    assert!(!total(1001, 1000, None) && !total(1, 0, None));
    assert!(total(1001, 1000, Some(1001)) && total(1001, 1000, Some(5000)));
    assert!(!total(1001, 1000, Some(1000)) && total(900, 1000, Some(1)));
    let huge = figures(u64::MAX, u64::MAX, 0);
    assert!(unanswered(&huge, 1000, Some(u64::MAX - 1)).is_err());
}

#[test]
fn a_cooldown_says_how_long_to_wait() {
    let refusal = |wait| availability(false, false, Some(wait)).unwrap_err();
    assert_eq!(refusal(wait()).retry_after, Some(Duration::from_secs(7)));
    assert!(refusal(wait()).message.ends_with("; the next may follow in 7s"));
    let message = refusal(CooldownLeft { clock_behind: true, ..wait() }).message;
    assert!(message.contains("later than now") && message.contains("2025-10-03T13:45:27Z"));
    assert_eq!(availability(true, false, Some(wait())).unwrap_err().retry_after, None);
}

#[test]
fn a_poller_that_is_to_stop_is_no_failure_of_a_user() {
    let code = |error| complete::<()>(Err(error)).unwrap_err().code;
    assert_eq!(code(FullReadError::Stopped), RefusalCode::Interrupted);
    assert_eq!(code(FullReadError::Incomplete("2".to_owned())), RefusalCode::IncompleteReading);
}
