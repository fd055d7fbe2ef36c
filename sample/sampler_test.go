package sample_test

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/gorget/gorget/sample"
)

var inf = math.Inf(1)

// exact is the distribution that options stand for, by its definition: sort,
// cut, renormalize.
func exact(logits []float64, o sample.Options) []float64 {
	order := make([]int, len(logits))
	p, sum := make([]float64, len(logits)), 0.0
	for i, z := range logits {
		order[i] = i
		p[i] = math.Exp(z / o.Temperature)
		sum += p[i]
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case p[a] > p[b]:
			return -1
		case p[a] < p[b]:
			return 1
		}
		return 0
	})
	if o.TopK > 0 {
		order = order[:o.TopK]
		sum = 0
		for _, i := range order {
			sum += p[i]
		}
	}
	if o.TopP > 0 {
		kept := 0.0
		for n, i := range order {
			if kept += p[i]; kept >= o.TopP*sum {
				order, sum = order[:n+1], kept
				break
			}
		}
	}
	out := make([]float64, len(logits))
	for _, i := range order {
		out[i] = p[i] / sum
	}
	return out
}

// requireDraws checks counts of n draws against probabilities by Pearson's
// chi-square test at the level 1e-3. What has no probability must not occur.
func requireDraws(t *testing.T, p []float64, counts []int, n int) {
	t.Helper()
	chi2, cells := 0.0, 0
	for i, p := range p {
		if p == 0 {
			require.Zero(t, counts[i], "token %d has no probability", i)
			continue
		}
		expected := p * float64(n)
		require.Greater(t, expected, 5., "too few draws for the test")
		chi2 += (float64(counts[i]) - expected) * (float64(counts[i]) - expected) / expected
		cells++
	}
	if cells > 1 {
		require.Greater(t, distuv.ChiSquared{K: float64(cells - 1)}.Survival(chi2), 1e-3, "chi2 = %v, counts %v", chi2, counts)
	}
}

func TestDrawsFollowTheDistribution(t *testing.T) {
	logits := []float64{0.3, -1, 2, 0.3, 1.1, -inf, 0.3, -0.2, 1.9}
	const n = 20000
	for name, o := range map[string]sample.Options{
		"temperature 1":         {Temperature: 1},
		"cold":                  {Temperature: 0.5},
		"hot":                   {Temperature: 3},
		"top-k":                 {Temperature: 1, TopK: 3},
		"top-k with ties":       {Temperature: 1, TopK: 5},
		"top-k 1":               {Temperature: 2, TopK: 1},
		"top-k of all":          {Temperature: 1, TopK: 9},
		"top-p":                 {Temperature: 1, TopP: 0.8},
		"top-p of one":          {Temperature: 1, TopP: 0.01},
		"top-p of nearly all":   {Temperature: 1, TopP: 0.999999},
		"top-p of all":          {Temperature: 1, TopP: 1},
		"top-k, then top-p":     {Temperature: 1, TopK: 4, TopP: 0.7},
		"temperature and top-p": {Temperature: 2, TopP: 0.9},
	} {
		t.Run(name, func(t *testing.T) {
			o.MaxNew, o.Seed = 1, 42
			s, err := sample.NewSampler(o)
			require.NoError(t, err)
			positions, sequences := make([]int, len(logits)), make([]int, len(logits))
			for i := range n {
				token, err := s.Pick(logits, 7, i)
				require.NoError(t, err)
				positions[token]++
				token, err = s.Pick(logits, i, 7)
				require.NoError(t, err)
				sequences[token]++
			}
			requireDraws(t, exact(logits, o), positions, n)
			requireDraws(t, exact(logits, o), sequences, n)
		})
	}
}

// Exactly p is enough, and of equals the lower tokens are kept.
func TestTopPTakesNoMoreThanNeeded(t *testing.T) {
	s, err := sample.NewSampler(sample.Options{MaxNew: 1, Temperature: 1, TopP: 0.5})
	require.NoError(t, err)
	seen := map[int32]bool{}
	for i := range 100 {
		token, err := s.Pick(make([]float64, 4), 0, i)
		require.NoError(t, err)
		seen[token] = true
	}
	require.Equal(t, map[int32]bool{0: true, 1: true}, seen)
}

func TestDrawsAreIndependent(t *testing.T) {
	s, err := sample.NewSampler(sample.Options{MaxNew: 1, Temperature: 1})
	require.NoError(t, err)
	const n = 20000
	pairs, p := make([]int, 16), make([]float64, 16)
	neighbours := make([]int, 16)
	pick := func(sequence, position int) int {
		token, err := s.Pick(make([]float64, 4), sequence, position)
		require.NoError(t, err)
		return int(token)
	}
	for i := range n {
		pairs[4*pick(0, i)+pick(0, i+1)]++
		neighbours[4*pick(i, 3)+pick(i+1, 3)]++
	}
	for i := range p {
		p[i] = 1. / 16
	}
	requireDraws(t, p, pairs, n)
	requireDraws(t, p, neighbours, n)
}

func TestPickIsAFunctionOfSeedSequenceAndPosition(t *testing.T) {
	logits := make([]float64, 1<<20) // any two draws differ
	pick := func(seed uint64, sequence, position int) int32 {
		s, err := sample.NewSampler(sample.Options{MaxNew: 1, Temperature: 1, Seed: seed})
		require.NoError(t, err)
		token, err := s.Pick(logits, sequence, position)
		require.NoError(t, err)
		return token
	}
	first := pick(1, 2, 3)
	require.Equal(t, first, pick(1, 2, 3))
	for _, other := range []int32{pick(2, 2, 3), pick(1, 3, 3), pick(1, 2, 4), pick(1, 3, 2), pick(2, 1, 3)} {
		require.NotEqual(t, first, other)
	}
}

func TestGreedyIsTheFirstOfTheLargest(t *testing.T) {
	s, err := sample.NewSampler(sample.Options{MaxNew: 1, TopK: 3, TopP: 0.5})
	require.NoError(t, err)
	for want, logits := range [][]float64{{3, 1, 3}, {-2, -1, -1}, {-inf, -inf, -7}} {
		token, err := s.Pick(logits, 0, 0)
		require.NoError(t, err)
		require.EqualValues(t, want, token)
	}
	cold, err := sample.NewSampler(sample.Options{MaxNew: 1, Temperature: 1e-300})
	require.NoError(t, err)
	token, err := cold.Pick([]float64{1, 2, 1.9999}, 0, 0)
	require.NoError(t, err)
	require.EqualValues(t, 1, token)
}

func TestPickRefusesWhatHasNoDistribution(t *testing.T) {
	for _, temperature := range []float64{0, 1} {
		s, err := sample.NewSampler(sample.Options{MaxNew: 1, Temperature: temperature})
		require.NoError(t, err)
		for text, logits := range map[string][]float64{
			"logit of token 1 = NaN":       {1, math.NaN(), 2},
			"logit of token 2 = +Inf":      {1, 2, inf},
			"none of 2 logits is a number": {-inf, -inf},
			"none of 0 logits is a number": nil,
		} {
			_, err = s.Pick(logits, 0, 0)
			require.ErrorIs(t, err, sample.ErrNoDistribution)
			require.ErrorContains(t, err, text)
		}
	}
}

func TestValidate(t *testing.T) {
	ok := sample.Options{MaxNew: 1, Temperature: 0.8, TopK: 40, TopP: 0.9, Stop: []int32{0}, Repeat: sample.Repeat{Length: 3, Times: 2}, Full: sample.SlideFull}
	require.NoError(t, ok.Validate())
	require.NoError(t, sample.Options{MaxNew: 1}.Validate())
	for field, change := range map[string]func(*sample.Options){
		"max_new":       func(o *sample.Options) { o.MaxNew = 0 },
		"temperature":   func(o *sample.Options) { o.Temperature = math.NaN() },
		"top_k":         func(o *sample.Options) { o.TopK = -1 },
		"top_p":         func(o *sample.Options) { o.TopP = math.NaN() },
		"stop[1]":       func(o *sample.Options) { o.Stop = []int32{0, -1} },
		"repeat.times":  func(o *sample.Options) { o.Repeat.Times = 1 },
		"repeat.length": func(o *sample.Options) { o.Repeat.Length = 0 },
		"full_context":  func(o *sample.Options) { o.Full = "roll" },
	} {
		o := ok
		change(&o)
		var wrong *sample.OptionError
		require.ErrorAs(t, o.Validate(), &wrong, field)
		require.Equal(t, field, wrong.Field)
		_, err := sample.NewSampler(o)
		require.ErrorAs(t, err, &wrong)
	}
	for _, bad := range []sample.Options{{MaxNew: 1, Temperature: -1}, {MaxNew: 1, Temperature: inf}, {MaxNew: 1, TopP: 1.5}, {MaxNew: 1, TopP: -0.5}, {MaxNew: 1, Repeat: sample.Repeat{Length: -1}}} {
		require.Error(t, bad.Validate())
	}
	require.EqualError(t, sample.Options{MaxNew: 1, TopP: 2}.Validate(), "sample: top_p = 2, want 0 < p <= 1, or 0 for 1")
}

func TestPickAllocatesNothing(t *testing.T) {
	s, err := sample.NewSampler(sample.Options{MaxNew: 1, Temperature: 1, TopK: 50, TopP: 0.9})
	require.NoError(t, err)
	logits := make([]float64, 50257)
	for i := range logits {
		logits[i] = math.Sin(float64(i * i))
	}
	position := 0
	require.Zero(t, testing.AllocsPerRun(10, func() {
		position++
		if _, err := s.Pick(logits, 0, position); err != nil {
			t.Fatal(err)
		}
	}))
}
