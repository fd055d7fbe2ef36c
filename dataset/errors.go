package dataset

import (
	"fmt"

	"github.com/pkg/errors"
)

// Errors that callers test for with errors.Is. They come wrapped in a message
// that says where.
var (
	// ErrEmpty: a text, a file or a stream holds nothing.
	ErrEmpty = errors.New("empty, want at least one token")
	// ErrTooShort: fewer tokens than one window needs.
	ErrTooShort = errors.New("too few tokens for one window")
	// ErrFormat: a file is not what it should be.
	ErrFormat = errors.New("not a valid file of its kind")
	// ErrNotUTF8: a text has bytes that are not UTF-8.
	ErrNotUTF8 = errors.New("invalid UTF-8")
	// ErrUnknownChar: a text has a character that the vocabulary lacks.
	ErrUnknownChar = errors.New("a character that is not in the vocabulary")
	// ErrEnd: a batch beyond the end of a sequential pass was asked for.
	ErrEnd = errors.New("beyond the last batch of the pass")
)

// TextError says where a text could not be encoded.
type TextError struct {
	Offset int   // in bytes from the beginning of the text
	Char   rune  // the character, utf8.RuneError if the bytes are not UTF-8
	Err    error // ErrNotUTF8 or ErrUnknownChar
}

// Error names the byte and, unless the text is not UTF-8, the character.
func (e *TextError) Error() string {
	if e.Err == ErrNotUTF8 {
		return fmt.Sprintf("dataset: text at byte %d: %v", e.Offset, e.Err)
	}
	return fmt.Sprintf("dataset: text at byte %d: %q: %v", e.Offset, e.Char, e.Err)
}

// Unwrap gives Err, for errors.Is.
func (e *TextError) Unwrap() error { return e.Err }

// TokenError says which token id lies outside the vocabulary.
type TokenError struct {
	Position int   // in tokens from the beginning of the stream or slice
	ID       int32 // the id found there
	Vocab    int   // ids must be in [0, Vocab)
}

// Error names the id, its position and the vocabulary.
func (e *TokenError) Error() string {
	return fmt.Sprintf("dataset: token %d at position %d, want 0 <= id < %d (the vocabulary)", e.ID, e.Position, e.Vocab)
}

// checkIDs refuses the first id outside [0, vocab); at is the position of ids[0].
func checkIDs(ids []int32, vocab, at int) error {
	for i, id := range ids {
		if id < 0 || int(id) >= vocab {
			return &TokenError{Position: at + i, ID: id, Vocab: vocab}
		}
	}
	return nil
}
