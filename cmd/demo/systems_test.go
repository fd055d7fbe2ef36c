package main

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/presets"
)

func TestSystemsPrintsTheClaims(t *testing.T) {
	code, text, _ := demo(t, "systems")
	require.Equal(t, exitOK, code)
	code, markdown, _ := demo(t, "systems", "-markdown")
	require.Equal(t, exitOK, code)
	code, raw, _ := demo(t, "systems", "-json")
	require.Equal(t, exitOK, code)
	var rows []claimRow
	require.NoError(t, json.Unmarshal([]byte(raw), &rows))
	require.Len(t, rows, len(presets.Systems()))
	lines := strings.Split(strings.TrimSpace(markdown), "\n")
	require.Len(t, lines, len(rows)+2)
	for i, s := range presets.Systems() {
		require.Equal(t, claimRow{s.Name, s.Title, s.Claim}, rows[i])
		require.Contains(t, text, s.Title)
		require.Contains(t, text, s.Claim.Published)
		require.Equal(t, 6, strings.Count(lines[i+2], "|")-strings.Count(lines[i+2], `\|`), "five cells")
	}
	for _, line := range strings.Split(text, "\n") {
		require.LessOrEqual(t, utf8.RuneCountInString(line), textWidth+20, line)
	}
}

func TestSystemsPrintsEachSystemWhole(t *testing.T) {
	for _, s := range presets.Systems() {
		for _, size := range s.Sizes {
			code, raw, errs := demo(t, "systems", s.Name, "-json", "-size", size.Name, "-recipe", "claimed", "-policy", "mingpt")
			require.Equal(t, exitOK, code, errs)
			var got systemReport
			require.NoError(t, json.Unmarshal([]byte(raw), &struct {
				*systemReport
				Groups json.RawMessage `json:"groups"`
			}{systemReport: &got}))
			require.Equal(t, []string{s.Name, size.Name, "claimed"}, []string{got.Name, got.Size, string(got.Recipe)})
			require.Equal(t, s.Claim, got.Claim)
			require.Len(t, got.Sizes, len(s.Sizes))
			facts, err := s.Facts(size, presets.AsClaimed)
			require.NoError(t, err)
			require.Equal(t, facts, got.Facts)
			var report struct {
				Groups struct {
					Policy string         `json:"policy"`
					Totals []groups.Total `json:"groups"`
				} `json:"groups"`
			}
			require.NoError(t, json.Unmarshal([]byte(raw), &report))
			require.Equal(t, "mingpt", report.Groups.Policy)
			total := 0
			for _, g := range report.Groups.Totals {
				total += g.Count
			}
			require.Equal(t, size.Params, total)
		}
	}
}

func TestSystemsShowsSourcesRecipeAndGroups(t *testing.T) {
	code, text, _ := demo(t, "systems", "palm")
	require.Equal(t, exitOK, code)
	for _, want := range []string{"PaLM 540B, recipe as published", "recipe.optimizer", "adafactor", "section 5", "our default", "62.50B",
		"model.layers.*.input_layernorm.weight", "everything decays", "policy decay_all", "1 lr^2"} {
		require.Contains(t, text, want)
	}
	code, text, _ = demo(t, "systems", "-size", "8B", "palm", "-recipe", "claimed", "-v")
	require.Equal(t, exitOK, code)
	for _, want := range []string{"PaLM 8B, recipe as commonly claimed", "claimed", "model.layers.31.input_layernorm.weight", "norm parameters do not decay"} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "layers.*")
	code, text, _ = demo(t, "systems", "gpt3", "-size", "1.3B", "-markdown")
	require.Equal(t, exitOK, code)
	for _, want := range []string{"# GPT-3\n", "## Sizes", "| model.heads | 16 | derived | table 2.1 prints 24 heads", "Policy **gpt2**"} {
		require.Contains(t, text, want)
	}
}

func TestSystemsUsageErrors(t *testing.T) {
	for _, c := range []struct {
		args string
		want string
	}{
		{"llama3", "want one of [gpt2"},
		{"llama -size 8B", "want one of [7B 13B 33B 65B]"},
		{"llama -policy mine", `policy = "mine"`},
		{"llama -recipe rumoured", `"rumoured"`},
		{"llama palm", `unexpected argument "palm"`},
		{"-size 7B", "-size needs the name of a system"},
		{"-json -markdown", "exclude each other"},
		{"-what", "not defined"},
	} {
		code, out, errs := demo(t, append([]string{"systems"}, strings.Fields(c.args)...)...)
		require.Equal(t, exitUsage, code, c.args)
		require.Contains(t, errs, c.want, c.args)
		require.Empty(t, out, c.args)
	}
	code, _, errs := demo(t, "systems", "-h")
	require.Equal(t, exitOK, code)
	require.Contains(t, errs, "demo systems NAME")
}

func TestWrap(t *testing.T) {
	require.Equal(t, "one two", wrap(" one  two ", 0))
	long := wrap(strings.Repeat("word ", 30), 70)
	for i, line := range strings.Split(long, "\n") {
		require.LessOrEqual(t, len(line), textWidth)
		require.Equal(t, i > 0, strings.HasPrefix(line, strings.Repeat(" ", 70)+"word"))
	}
	require.Equal(t, 30, strings.Count(long, "word"))
	require.Equal(t, strings.Repeat("x", 200), wrap(strings.Repeat("x", 200), 100), "a word is not broken")
}
