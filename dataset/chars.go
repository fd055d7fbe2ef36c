package dataset

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pkg/errors"
)

const charKind = "char"

// Chars has one token for each character, ids in the order of Unicode: the
// tokenizer of nanoGPT's character models.
type Chars struct {
	chars []rune
	ids   map[rune]int32
}

// NewChars collects the characters of text. It fails with ErrEmpty, or with a
// *TextError if text is not UTF-8.
func NewChars(text string) (*Chars, error) {
	if text == "" {
		return nil, errors.Wrap(ErrEmpty, "dataset: text of a character vocabulary")
	}
	if err := CheckUTF8(text); err != nil {
		return nil, err
	}
	seen := map[rune]bool{}
	for _, r := range text {
		seen[r] = true
	}
	return newChars(slices.Sorted(maps.Keys(seen)))
}

func newChars(chars []rune) (*Chars, error) {
	c := &Chars{chars: chars, ids: make(map[rune]int32, len(chars))}
	for i, r := range chars {
		if _, twice := c.ids[r]; twice {
			return nil, errors.Errorf("dataset: character %q is twice in the vocabulary", r)
		}
		c.ids[r] = int32(i)
	}
	return c, nil
}

// Kind is "char".
func (c *Chars) Kind() string { return charKind }

// Vocab is the number of different characters.
func (c *Chars) Vocab() int { return len(c.chars) }

// Encode gives one id a character.
func (c *Chars) Encode(text string) ([]int32, error) {
	if err := CheckUTF8(text); err != nil {
		return nil, err
	}
	ids := make([]int32, 0, utf8.RuneCountInString(text))
	for i, r := range text {
		id, ok := c.ids[r]
		if !ok {
			return nil, &TextError{Offset: i, Char: r, Err: ErrUnknownChar}
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// Decode joins the characters of ids.
func (c *Chars) Decode(ids []int32) (string, error) {
	if err := checkIDs(ids, len(c.chars), 0); err != nil {
		return "", err
	}
	var b strings.Builder
	for _, id := range ids {
		b.WriteRune(c.chars[id])
	}
	return b.String(), nil
}

// MarshalJSON writes the vocabulary as one string.
func (c *Chars) MarshalJSON() ([]byte, error) { return json.Marshal(string(c.chars)) }

func unmarshalChars(data []byte) (*Chars, error) {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, errors.Wrapf(ErrFormat, "vocabulary: %v", err)
	}
	if s == "" {
		return nil, errors.Wrap(ErrEmpty, "vocabulary")
	}
	return newChars([]rune(s))
}
