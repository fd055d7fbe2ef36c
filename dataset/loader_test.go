package dataset_test

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gorget/gorget/dataset"
)

// count is the stream 0, 1, 2 ...: a token is its own position.
func count(n int) dataset.Slice {
	s := make(dataset.Slice, n)
	for i := range s {
		s[i] = int32(i)
	}
	return s
}

func newLoader(t *testing.T, src dataset.Tokens, cfg dataset.Config) *dataset.Loader {
	t.Helper()
	if cfg.Vocab == 0 {
		cfg.Vocab = max(1, src.Len())
	}
	l, err := dataset.NewLoader(src, cfg)
	require.NoError(t, err)
	return l
}

// batch gives fresh copies of one batch.
func batch(t *testing.T, l interface {
	Batch(step, micro int, tokens, targets []int32) error
}, size, step, micro int) (x, y []int32) {
	t.Helper()
	x, y = make([]int32, size), make([]int32, size)
	require.NoError(t, l.Batch(step, micro, x, y))
	return x, y
}

func TestTargetsAreTheNextTokens(t *testing.T) {
	for _, order := range []dataset.Order{dataset.Shuffled, dataset.Random} {
		l := newLoader(t, count(1000), dataset.Config{B: 3, T: 8, Micro: 2, Seed: 7, Order: order})
		for step := range 20 {
			for micro := range 2 {
				x, y := batch(t, l, 24, step, micro)
				for i := range x {
					require.Equal(t, x[i]+1, y[i])
					if i%8 > 0 {
						require.Equal(t, x[i-1]+1, x[i], "a window is contiguous")
					}
				}
			}
		}
	}
}

func TestShuffledTakesEachBlockOnceAnEpoch(t *testing.T) {
	const B, T = 3, 4
	for _, n := range []int{5, 6, 8, 9, 12, 13, 100, 101, 102, 103, 999} {
		l := newLoader(t, count(n), dataset.Config{B: B, T: T, Seed: 1})
		// Windows an epoch, from what Epoch says of one step.
		blocks := int(math.Round(B / l.Epoch(1)))
		require.GreaterOrEqual(t, (n-1)-blocks*T, 0)
		require.Less(t, (n-1)-blocks*T, 2*T-1, "an epoch leaves out less than two windows")
		require.Equal(t, (blocks+B-1)/B, l.Len())

		shifts := map[int32]bool{}
		var orders [][]int32
		window := 0
		starts := map[int32]bool{}
		var order []int32
		for step := 0; len(orders) < 6; step++ {
			x, _ := batch(t, l, B*T, step, 0)
			for b := range B {
				s := x[b*T]
				require.False(t, starts[s], "n=%d: window %d again in one epoch", n, s)
				starts[s] = true
				order = append(order, s)
				if window++; window%blocks == 0 { // end of an epoch
					shift := int32(math.MaxInt32)
					for s := range starts {
						shift = min(shift, s)
					}
					for s := range starts {
						require.Zero(t, (s-shift)%T, "blocks do not overlap")
					}
					shifts[shift] = true
					orders = append(orders, order)
					starts, order = map[int32]bool{}, nil
				}
			}
		}
		if blocks > 20 {
			require.NotEqual(t, orders[0], orders[1], "each epoch has its own order")
			require.False(t, slices.IsSorted(orders[0]))
			require.Greater(t, len(shifts), 1, "and its own cuts")
		}
	}
}

func TestBatchIsAPureFunction(t *testing.T) {
	cfg := dataset.Config{B: 2, T: 5, Micro: 3, Seed: 42}
	for _, order := range []dataset.Order{dataset.Shuffled, dataset.Random} {
		cfg.Order = order
		l := newLoader(t, count(300), cfg)
		x1, y1 := batch(t, l, 10, 17, 2)
		for step := range 5 { // other batches in between
			batch(t, l, 10, step, 0)
		}
		x2, y2 := batch(t, newLoader(t, count(300), cfg), 10, 17, 2)
		assert.Equal(t, x1, x2)
		assert.Equal(t, y1, y2)

		// Steps of 3 micro-batches of 2 are steps of one batch of 6.
		whole := cfg
		whole.B, whole.Micro = 6, 1
		x, _ := batch(t, newLoader(t, count(300), whole), 30, 17, 0)
		assert.Equal(t, x[20:], x1)

		other := cfg
		other.Seed++
		x3, _ := batch(t, newLoader(t, count(300), other), 10, 17, 2)
		assert.NotEqual(t, x1, x3)
	}
}

// The draws are recorded: a run that is resumed with a later version of the
// library must see the same batches.
func TestOrderIsPinned(t *testing.T) {
	starts := func(order dataset.Order) (s []int32) {
		l := newLoader(t, count(101), dataset.Config{B: 4, T: 4, Seed: 3, Order: order})
		for step := range 2 {
			x, _ := batch(t, l, 16, step, 0)
			s = append(s, x[0], x[4], x[8], x[12])
		}
		return s
	}
	assert.Equal(t, []int32{64, 68, 48, 84, 28, 8, 16, 60}, starts(dataset.Shuffled))
	assert.Equal(t, []int32{78, 70, 92, 12, 3, 28, 90, 68}, starts(dataset.Random))
}

func TestRandomStartsAreUniform(t *testing.T) {
	const n, T, draws = 12, 3, 9000 // 9 starts, 1000 draws each
	l := newLoader(t, count(n), dataset.Config{B: draws, T: T, Order: dataset.Random})
	x, _ := batch(t, l, draws*T, 0, 0)
	hits := make([]float64, n-T)
	for b := range draws {
		hits[x[b*T]]++
	}
	chi2 := 0.0
	for _, h := range hits {
		chi2 += (h - 1000) * (h - 1000) / 1000
	}
	require.Less(t, chi2, 26.1, "chi-squared with 8 degrees of freedom: 26.1 is passed once in 1000; the draw is fixed")
}

func TestSequentialCoversEveryTargetOnce(t *testing.T) {
	const B, T = 3, 4
	for n := 2; n < 40; n++ {
		l := newLoader(t, count(n), dataset.Config{B: B, T: T, Order: dataset.Sequential})
		var seen []int32
		for i := range l.Len() {
			x, y := batch(t, l, B*T, i, 0)
			for j := range y {
				if y[j] == dataset.Ignore {
					require.Zero(t, x[j], "padding is a valid token")
					continue
				}
				require.Equal(t, x[j]+1, y[j])
				seen = append(seen, y[j])
			}
		}
		require.Equal(t, []int32(count(n)[1:]), seen, "n = %d", n)
		err := l.Batch(l.Len(), 0, make([]int32, B*T), make([]int32, B*T))
		require.ErrorIs(t, err, dataset.ErrEnd)
	}
}

func TestMaskTurnsTargetsIntoIgnore(t *testing.T) {
	mask := make(dataset.Slice, 50)
	for i := range mask {
		mask[i] = int32(i % 3) // every third token is no target
	}
	for _, order := range []dataset.Order{dataset.Shuffled, dataset.Random, dataset.Sequential} {
		plain := newLoader(t, count(50), dataset.Config{B: 2, T: 7, Order: order, Seed: 5})
		masked := newLoader(t, count(50), dataset.Config{B: 2, T: 7, Order: order, Seed: 5, Mask: mask})
		for step := range plain.Len() {
			x1, y1 := batch(t, plain, 14, step, 0)
			x2, y2 := batch(t, masked, 14, step, 0)
			require.Equal(t, x1, x2)
			for i, y := range y1 {
				if y != dataset.Ignore && y%3 == 0 {
					y = dataset.Ignore
				}
				require.Equal(t, y, y2[i])
			}
		}
	}
}

func TestLoaderRefuses(t *testing.T) {
	ok := dataset.Config{B: 2, T: 4, Vocab: 10}
	for name, c := range map[string]struct {
		n      int
		change func(*dataset.Config)
		want   string
		is     error
	}{
		"B":         {10, func(c *dataset.Config) { c.B = 0 }, "B = 0", nil},
		"T":         {10, func(c *dataset.Config) { c.T = -1 }, "T = -1", nil},
		"Micro":     {10, func(c *dataset.Config) { c.Micro = -2 }, "Micro = -2", nil},
		"Vocab":     {10, func(c *dataset.Config) { c.Vocab = 0 }, "Vocab = 0", nil},
		"order":     {10, func(c *dataset.Config) { c.Order = 9 }, "order = 9", nil},
		"mask":      {10, func(c *dataset.Config) { c.Mask = count(9) }, "mask of 9", nil},
		"short":     {4, func(*dataset.Config) {}, "4 tokens, want at least 5", dataset.ErrTooShort},
		"random":    {4, func(c *dataset.Config) { c.Order = dataset.Random }, "4 tokens, want at least 5", dataset.ErrTooShort},
		"one token": {1, func(c *dataset.Config) { c.Order = dataset.Sequential }, "1 tokens, want at least 2", dataset.ErrTooShort},
		"empty":     {0, func(*dataset.Config) {}, "0 tokens", dataset.ErrTooShort},
	} {
		cfg := ok
		c.change(&cfg)
		_, err := dataset.NewLoader(count(c.n), cfg)
		require.ErrorContains(t, err, c.want, name)
		if c.is != nil {
			require.ErrorIs(t, err, c.is, name)
		}
	}

	l := newLoader(t, count(5), dataset.Config{B: 1, T: 4, Micro: 2, Vocab: 4}) // the last token is 4
	for name, c := range map[string]struct {
		step, micro, x, y int
		want              string
	}{
		"step":    {-1, 0, 4, 4, "step = -1"},
		"huge":    {math.MaxInt, 0, 4, 4, "step = "},
		"micro":   {0, 2, 4, 4, "micro = 2"},
		"tokens":  {0, 0, 3, 4, "3 tokens and 4 targets"},
		"targets": {0, 0, 4, 5, "4 tokens and 5 targets"},
		"id":      {0, 0, 4, 4, "token 4 at position 4, want 0 <= id < 4"},
	} {
		err := l.Batch(c.step, c.micro, make([]int32, c.x), make([]int32, c.y))
		require.ErrorContains(t, err, c.want, name)
	}
	var te *dataset.TokenError
	err := newLoader(t, dataset.Slice{1, 2, -7, 0, 1}, dataset.Config{B: 1, T: 4, Vocab: 4}).Batch(0, 0, make([]int32, 4), make([]int32, 4))
	require.ErrorAs(t, err, &te)
	require.Equal(t, dataset.TokenError{Position: 2, ID: -7, Vocab: 4}, *te)
}

func TestBatchAllocatesNothing(t *testing.T) {
	x, y := make([]int32, 64), make([]int32, 64)
	shard := writeShard(t, dataset.LLMC, count(1000))
	for name, src := range map[string]dataset.Tokens{"memory": count(1000), "shard": shard} {
		for _, order := range []dataset.Order{dataset.Shuffled, dataset.Random, dataset.Sequential} {
			l := newLoader(t, src, dataset.Config{B: 4, T: 16, Order: order, Mask: count(1000)})
			step := 0
			require.Zero(t, testing.AllocsPerRun(10, func() {
				if err := l.Batch(step, 0, x, y); err != nil {
					t.Error(err)
				}
				step++
			}), "%s order %d", name, order)
		}
	}
}

func TestSplitSectionJoin(t *testing.T) {
	train, val, err := dataset.Split(count(1115394), 0.9)
	require.NoError(t, err)
	require.Equal(t, 1003854, train.Len(), "nanoGPT's split of tiny Shakespeare")
	require.Equal(t, 111540, val.Len())
	var first [2]int32
	require.NoError(t, val.ReadTokens(first[:], 0))
	require.Equal(t, [2]int32{1003854, 1003855}, first)
	require.ErrorContains(t, train.ReadTokens(first[:], train.Len()-1), "the stream has 1003854")
	for _, share := range []float64{0, 1, -1, math.NaN()} {
		_, _, err := dataset.Split(count(10), share)
		require.ErrorContains(t, err, "trainShare")
	}
	_, _, err = dataset.Split(count(1), 0.9)
	require.ErrorIs(t, err, dataset.ErrTooShort)

	s, err := dataset.Section(count(10), 2, 5)
	require.NoError(t, err)
	require.Equal(t, 3, s.Len())
	for _, r := range [][2]int{{-1, 2}, {3, 2}, {0, 11}} {
		_, err := dataset.Section(count(10), r[0], r[1])
		require.ErrorContains(t, err, "section")
	}

	j := dataset.Join(count(3), dataset.Slice{}, s, count(1))
	require.Equal(t, 7, j.Len())
	all := dataset.Slice{0, 1, 2, 2, 3, 4, 0}
	for at := range all {
		for n := range len(all) - at + 1 {
			got := make([]int32, n)
			require.NoError(t, j.ReadTokens(got, at))
			require.Equal(t, []int32(all[at:at+n]), got)
		}
	}
	require.Error(t, j.ReadTokens(make([]int32, 2), 6))
	require.Error(t, j.ReadTokens(make([]int32, 1), -1))
	require.Zero(t, dataset.Join().Len())
}

func TestNilStream(t *testing.T) {
	_, err := dataset.NewLoader(nil, dataset.Config{B: 1, T: 1, Vocab: 1})
	require.ErrorContains(t, err, "stream = nil")
	_, err = dataset.Section(nil, 0, 0)
	require.ErrorContains(t, err, "stream = nil")
	_, _, err = dataset.Split(nil, 0.5)
	require.ErrorContains(t, err, "stream = nil")
	_, err = dataset.Fingerprint(nil)
	require.ErrorContains(t, err, "stream = nil")
}
