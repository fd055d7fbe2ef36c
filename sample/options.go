package sample

import (
	"fmt"
	"math"
)

// FullContext says what happens to a sequence that fills the model's context.
type FullContext string

// What to do when the context is full.
const (
	// StopFull ends the sequence. This is the default.
	StopFull FullContext = "stop"
	// SlideFull forgets all but the last half of the context (at least one
	// token) and goes on from there, with positions that begin at 0 again. So
	// a token sees between a half and the whole of a context, at the price of
	// reading half a context anew for every half that is generated. A prompt
	// longer than the context is cut to its last half context too.
	SlideFull FullContext = "slide"
)

// Options say how tokens are chosen and when a sequence ends. They are data:
// printed, compared, and saved as JSON. MaxNew must be set; the zero value of
// the others is greedy.
type Options struct {
	MaxNew int `json:"max_new"` // tokens to generate for each prompt, at least 1

	// The filters apply in this order, as in Hugging Face's transformers.
	Temperature float64 `json:"temperature"`     // divides the logits; 0: always the most likely token, the first of equals
	TopK        int     `json:"top_k,omitempty"` // only the k most likely tokens (Fan et al. 2018, arXiv:1805.04833); 0: all
	// TopP leaves the fewest most likely tokens whose probability together is
	// at least p (nucleus sampling, Holtzman et al. 2019, arXiv:1904.09751);
	// 0 means 1: all.
	TopP float64 `json:"top_p,omitempty"`
	Seed uint64  `json:"seed"`

	Stop   []int32     `json:"stop,omitempty"`         // tokens that end a sequence; they are not part of it
	Repeat Repeat      `json:"repeat"`                 // ends a sequence that goes in circles
	Full   FullContext `json:"full_context,omitempty"` // "" means StopFull
}

// Repeat ends a sequence whose last Length*Times new tokens are the same Length
// tokens Times times. The zero value never does. A circle of m tokens is found
// by each Length that is a multiple of m.
type Repeat struct {
	Length int `json:"length,omitempty"`
	Times  int `json:"times,omitempty"` // at least 2
}

// OptionError names the field of [Options] that is wrong.
type OptionError struct {
	Field string // as in JSON
	Value any
	Want  string
}

// Error says which field is wrong and what is wanted.
func (e *OptionError) Error() string {
	return fmt.Sprintf("sample: %s = %v, want %s", e.Field, e.Value, e.Want)
}

// Validate returns an *[OptionError] for the first field that is wrong, nil if
// there is none.
func (o Options) Validate() error {
	for _, check := range []struct {
		ok    bool
		field string
		value any
		want  string
	}{
		{o.MaxNew >= 1, "max_new", o.MaxNew, "at least 1"},
		{o.Temperature >= 0 && !math.IsInf(o.Temperature, 1), "temperature", o.Temperature, "a number >= 0"},
		{o.TopK >= 0, "top_k", o.TopK, "0 or more"},
		{o.TopP >= 0 && o.TopP <= 1, "top_p", o.TopP, "0 < p <= 1, or 0 for 1"},
		{o.Repeat.Length >= 0, "repeat.length", o.Repeat.Length, "0 or more"},
		{o.Repeat.Length == 0 || o.Repeat.Times >= 2, "repeat.times", o.Repeat.Times, "at least 2"},
		{o.Repeat.Length > 0 || o.Repeat.Times == 0, "repeat.length", o.Repeat.Length, "at least 1 with repeat.times set"},
		{o.Full == "" || o.Full == StopFull || o.Full == SlideFull, "full_context", o.Full, fmt.Sprintf("%q or %q", StopFull, SlideFull)},
	} {
		if !check.ok {
			return &OptionError{check.field, check.value, check.want}
		}
	}
	for i, token := range o.Stop {
		if token < 0 {
			return &OptionError{fmt.Sprintf("stop[%d]", i), token, "a token, 0 or more"}
		}
	}
	return nil
}
