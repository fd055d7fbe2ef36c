package dataset_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gorget/gorget/dataset"
)

func TestExamplesArePaddedAndMasked(t *testing.T) {
	const I = dataset.Ignore
	e, err := dataset.NewExamples([]dataset.Example{
		{Tokens: []int32{1, 2, 3, 4, 5}, Prompt: 4}, // only 5 is learned
		{Tokens: []int32{6, 7}},
		{Tokens: []int32{8, 9, 8}, Prompt: 1},
	}, dataset.Config{B: 2, T: 4, Vocab: 10, Order: dataset.Sequential})
	require.NoError(t, err)
	require.Equal(t, 2, e.Len())
	x, y := batch(t, e, 8, 0, 0)
	require.Equal(t, []int32{1, 2, 3, 4, 6, 0, 0, 0}, x)
	require.Equal(t, []int32{I, I, I, 5, 7, I, I, I}, y)
	x, y = batch(t, e, 8, 1, 0)
	require.Equal(t, []int32{8, 9, 0, 0, 0, 0, 0, 0}, x)
	require.Equal(t, []int32{9, 8, I, I, I, I, I, I}, y)
	require.ErrorIs(t, e.Batch(2, 0, x, y), dataset.ErrEnd)
}

func TestExamplesOncePerEpoch(t *testing.T) {
	list := make([]dataset.Example, 7)
	for i := range list {
		list[i].Tokens = []int32{int32(i), 9}
	}
	e, err := dataset.NewExamples(list, dataset.Config{B: 2, T: 1, Micro: 2, Vocab: 10, Seed: 1})
	require.NoError(t, err)
	require.InDelta(t, 4.0/7, e.Epoch(1), 1e-15)
	var seen []int32
	for step := range 7 {
		for micro := range 2 {
			x, _ := batch(t, e, 2, step, micro)
			seen = append(seen, x...)
		}
	}
	for epoch := range 4 {
		require.ElementsMatch(t, []int32{0, 1, 2, 3, 4, 5, 6}, seen[7*epoch:7*epoch+7])
	}
	require.NotEqual(t, seen[:7], seen[7:14])
}

func TestExamplesRefuse(t *testing.T) {
	cfg := dataset.Config{B: 1, T: 3, Vocab: 5}
	for want, list := range map[string][]dataset.Example{
		"empty":              nil,
		"example 1 has 1":    {{Tokens: []int32{1, 2}}, {Tokens: []int32{1}}},
		"example 0 has 5":    {{Tokens: []int32{1, 2, 3, 4, 0}}},
		"prompt = 2":         {{Tokens: []int32{1, 2}, Prompt: 2}},
		"prompt = -1":        {{Tokens: []int32{1, 2}, Prompt: -1}},
		"token 5 at positio": {{Tokens: []int32{1, 5}}},
	} {
		_, err := dataset.NewExamples(list, cfg)
		require.ErrorContains(t, err, want)
	}
	ok := []dataset.Example{{Tokens: []int32{1, 2}}}
	bad := cfg
	bad.Mask = count(3)
	_, err := dataset.NewExamples(ok, bad)
	require.ErrorContains(t, err, "mask")
	bad = cfg
	bad.Order = 3
	_, err = dataset.NewExamples(ok, bad)
	require.ErrorContains(t, err, "order = 3")
	bad = cfg
	bad.T = 0
	_, err = dataset.NewExamples(ok, bad)
	require.ErrorContains(t, err, "T = 0")
}
