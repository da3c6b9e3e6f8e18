# pint's checks of deploy/prometheus/rules, and which of them are off, with the reason. Used by tests/e2e/judges.
checks {
  disabled = [
    # "Alert query doesn't have any condition": what these alerts look at exists only while something is wrong, such as
    # wazzup_account_failing, or while an alert fires whose figure is lost.
    "alerts/comparison",
  ]
}
