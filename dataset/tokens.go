package dataset

import (
	"sort"

	"github.com/pkg/errors"
)

// Tokens is a stream of token ids that can be read at any place.
// Implementations are safe for concurrent use.
type Tokens interface {
	// Len is the number of tokens.
	Len() int
	// ReadTokens fills dst with the tokens from position at on. All of them
	// must lie in the stream.
	ReadTokens(dst []int32, at int) error
}

var errNilStream = errors.New("dataset: stream = nil, want Tokens")

func checkRange(n, at, length int) error {
	if at < 0 || n > length-at {
		return errors.Errorf("dataset: tokens [%d, %d) were asked for, the stream has %d", at, at+n, length)
	}
	return nil
}

// Slice is a stream in memory.
type Slice []int32

// Len is the number of tokens.
func (s Slice) Len() int { return len(s) }

// ReadTokens copies.
func (s Slice) ReadTokens(dst []int32, at int) error {
	if err := checkRange(len(dst), at, len(s)); err != nil {
		return err
	}
	copy(dst, s[at:])
	return nil
}

type section struct {
	src    Tokens
	lo, hi int
}

func (s section) Len() int { return s.hi - s.lo }

func (s section) ReadTokens(dst []int32, at int) error {
	if err := checkRange(len(dst), at, s.Len()); err != nil {
		return err
	}
	return s.src.ReadTokens(dst, s.lo+at)
}

// Section is the part [lo, hi) of src. It reads src, nothing is copied.
func Section(src Tokens, lo, hi int) (Tokens, error) {
	if src == nil {
		return nil, errNilStream
	}
	if lo < 0 || hi < lo || hi > src.Len() {
		return nil, errors.Errorf("dataset: section [%d, %d) of %d tokens, want 0 <= lo <= hi <= length", lo, hi, src.Len())
	}
	return section{src, lo, hi}, nil
}

// Split cuts src in two: the first part has int(trainShare*n) of its n tokens,
// as in nanoGPT (trainShare 0.9). Both parts must have tokens.
func Split(src Tokens, trainShare float64) (train, val Tokens, err error) {
	if src == nil {
		return nil, nil, errNilStream
	}
	if !(trainShare > 0 && trainShare < 1) {
		return nil, nil, errors.Errorf("dataset: trainShare = %v, want 0 < trainShare < 1", trainShare)
	}
	n := src.Len()
	cut := int(trainShare * float64(n))
	if cut == 0 || cut == n {
		return nil, nil, errors.Wrapf(ErrTooShort, "dataset: split of %d tokens at %v leaves one side without any", n, trainShare)
	}
	return section{src, 0, cut}, section{src, cut, n}, nil
}

type joined struct {
	parts []Tokens
	ends  []int // running total of lengths
}

// Join reads the streams one after the other as one, such as the shards of a
// large corpus.
func Join(parts ...Tokens) Tokens {
	j := joined{parts: parts, ends: make([]int, len(parts))}
	total := 0
	for i, p := range parts {
		total += p.Len()
		j.ends[i] = total
	}
	return j
}

func (j joined) Len() int {
	if len(j.ends) == 0 {
		return 0
	}
	return j.ends[len(j.ends)-1]
}

func (j joined) ReadTokens(dst []int32, at int) error {
	if err := checkRange(len(dst), at, j.Len()); err != nil {
		return err
	}
	for i := sort.SearchInts(j.ends, at+1); len(dst) > 0; i++ {
		p := j.parts[i]
		from := at - (j.ends[i] - p.Len())
		n := min(len(dst), p.Len()-from)
		if err := p.ReadTokens(dst[:n], from); err != nil {
			return errors.Wrapf(err, "dataset: stream %d of the joined ones", i)
		}
		dst, at = dst[n:], at+n
	}
	return nil
}
