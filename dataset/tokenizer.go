package dataset

import (
	"encoding/json"
	"os"
	"unicode/utf8"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/internal/atomicfile"
)

// Tokenizer maps text to token ids and back. Implementations are safe for
// concurrent use.
type Tokenizer interface {
	// Kind names the sort of tokenizer in a saved file: "char", "pieces", "gpt2".
	Kind() string
	// Vocab is the number of ids: every id is in [0, Vocab).
	Vocab() int
	// Encode gives the ids of one text (one document). It fails with a
	// *TextError for bytes that are not UTF-8 or characters without a token.
	Encode(text string) ([]int32, error)
	// Decode is the inverse of Encode. Ids of a part of a text may end inside
	// a character: the bytes are given as they are. It fails with a
	// *TokenError for an id beyond the vocabulary.
	Decode(ids []int32) (string, error)
}

// Ender is a Tokenizer with a token that ends a document, after which sampling
// stops.
type Ender interface{ EndOfText() int32 }

// savedTokenizer is the file's content: Data is what the kind needs beyond its
// name, empty for gpt2.
type savedTokenizer struct {
	Kind string          `json:"kind"`
	Data json.RawMessage `json:"data,omitempty"`
}

// SaveTokenizer writes tok as JSON, to lie beside the model that was trained
// with it. The file appears whole or not at all.
func SaveTokenizer(path string, tok Tokenizer) error {
	buf, err := MarshalTokenizer(tok)
	if err != nil {
		return err
	}
	return errors.Wrap(atomicfile.Write(path, buf), "dataset")
}

// MarshalTokenizer is the content of the file that SaveTokenizer writes.
func MarshalTokenizer(tok Tokenizer) ([]byte, error) {
	s := savedTokenizer{Kind: tok.Kind()}
	if m, ok := tok.(json.Marshaler); ok {
		data, err := m.MarshalJSON()
		if err != nil {
			return nil, errors.Wrapf(err, "dataset: tokenizer %s", tok.Kind())
		}
		s.Data = data
	}
	buf, err := json.Marshal(s)
	return append(buf, '\n'), errors.Wrapf(err, "dataset: tokenizer %s", tok.Kind())
}

// LoadTokenizer reads what SaveTokenizer wrote. The kinds "char" and "pieces"
// are known; builders adds others by kind, such as bpe.Kind and bpe.New, which
// only a program that wants GPT-2's vocabulary links.
func LoadTokenizer(path string, builders map[string]func() (Tokenizer, error)) (Tokenizer, error) {
	buf, err := os.ReadFile(path)
	if err != nil {
		return nil, errors.Wrap(err, "dataset")
	}
	var s savedTokenizer
	if err := json.Unmarshal(buf, &s); err != nil {
		return nil, errors.Wrapf(ErrFormat, "dataset: tokenizer %s: %v", path, err)
	}
	build := builders[s.Kind]
	switch s.Kind {
	case charKind:
		build = func() (Tokenizer, error) { return unmarshalChars(s.Data) }
	case piecesKind:
		build = func() (Tokenizer, error) { return unmarshalPieces(s.Data) }
	}
	if build == nil {
		return nil, errors.Wrapf(ErrFormat, "dataset: tokenizer %s: kind = %q, which this program does not know", path, s.Kind)
	}
	tok, err := build()
	if err != nil {
		return nil, errors.Wrapf(err, "dataset: tokenizer %s", path)
	}
	return tok, nil
}

// CheckUTF8 fails with a *TextError at the first byte of text that is not UTF-8.
func CheckUTF8(text string) error {
	for i, r := range text {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
				return &TextError{Offset: i, Char: r, Err: ErrNotUTF8}
			}
		}
	}
	return nil
}
