package presets

// Verdict says what became of a claim when its source was looked for.
type Verdict string

// The verdicts.
const (
	Right       Verdict = "right"        // published so
	Partly      Verdict = "partly"       // the number is published, the exemptions are not
	Wrong       Verdict = "wrong"        // something else is published
	Unpublished Verdict = "unpublished"  // nothing is published
	FalseSource Verdict = "false source" // nothing is published, the source that is named included
)

// Claim is what is commonly said of the weight decay of a system, beside what
// was published.
type Claim struct {
	WeightDecay float64 `json:"weight_decay"` // that circulates, taken to be AdamW's
	Says        string  `json:"says"`         // in words, as it circulates
	Verdict     Verdict `json:"verdict"`
	Published   string  `json:"published"` // the published weight decay in a word or two
	Source      string  `json:"source"`    // where that is, or where it was looked for
}
