package checkpoint_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/checkpoint"
)

// rewrite replaces a file of a checkpoint and its checksum.
func rewrite(t testing.TB, dir, name string, content []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	path := filepath.Join(dir, "SHA256SUMS")
	buf, err := os.ReadFile(path)
	require.NoError(t, err)
	sum := sha256.Sum256(content)
	line := regexp.MustCompile(`(?m)^[0-9a-f]{64}  ` + regexp.QuoteMeta(name) + `$`)
	require.Regexp(t, line, string(buf))
	buf = line.ReplaceAll(buf, []byte(hex.EncodeToString(sum[:])+"  "+name))
	require.NoError(t, os.WriteFile(path, buf, 0o600))
}

func savedRun(t *testing.T) *checkpoint.Saved {
	t.Helper()
	dir, err := newStore(t, t.TempDir(), 1).Save(newRun(t, model, tensor.Float32, 1).snapshot())
	require.NoError(t, err)
	v, err := checkpoint.OpenSaved(dir)
	require.NoError(t, err)
	return v
}

func TestReconcile(t *testing.T) {
	v := savedRun(t)
	cfg := newRunConfig()
	require.NoError(t, v.Reconcile(cfg, "sha256:1", checkpoint.Neither))

	other := func() *runConfig {
		c := newRunConfig()
		c.LR, c.Betas[1], c.Out, c.Recipe.Note = 0.1, 0.95, "here", "mine"
		c.Betas = append(c.Betas, 7)
		return c
	}
	cfg = other()
	err := v.Reconcile(cfg, "sha256:2", checkpoint.Neither)
	var ce *checkpoint.ConfigError
	require.ErrorAs(t, err, &ce)
	require.Equal(t, []checkpoint.Difference{
		{Path: "betas[1]", Saved: "0.99", Current: "0.95"},
		{Path: "betas[2]", Current: "7"},
		{Path: "lr", Saved: "0.05", Current: "0.1"},
		{Path: "out", Current: `"here"`},
		{Path: "recipe.note", Current: `"mine"`},
		{Path: "corpus", Saved: "sha256:1", Current: "sha256:2"},
	}, ce.Differences)
	require.ErrorContains(t, err, "lr = 0.05 in the checkpoint, 0.1 now; out = not set in the checkpoint")
	require.Equal(t, other(), cfg, "a refusal changes nothing")

	// Free paths do not count, whole objects among them.
	cfg = other()
	err = v.Reconcile(cfg, "sha256:1", checkpoint.Neither, "out", "recipe", "betas", "l")
	require.ErrorAs(t, err, &ce)
	require.Len(t, ce.Differences, 1)
	require.NoError(t, v.Reconcile(cfg, "sha256:1", checkpoint.Neither, "out", "recipe", "betas", "lr"))
	require.Equal(t, other(), cfg)

	// The checkpoint wins, but for what is free.
	cfg = other()
	require.NoError(t, v.Reconcile(cfg, "sha256:1", checkpoint.Theirs, "out"))
	want := newRunConfig()
	want.Out = "here"
	require.Equal(t, want, cfg)
	cfg = other()
	require.NoError(t, v.Reconcile(cfg, "sha256:1", checkpoint.Theirs))
	require.Equal(t, newRunConfig(), cfg)
	cfg = other()
	err = v.Reconcile(cfg, "sha256:2", checkpoint.Theirs)
	require.ErrorAs(t, err, &ce)
	require.ErrorContains(t, err, "corpus = sha256:1")
	require.Equal(t, other(), cfg)

	// The present wins.
	require.NoError(t, v.Reconcile(cfg, "sha256:2", checkpoint.Ours))
	require.Equal(t, other(), cfg)

	require.ErrorContains(t, v.Reconcile(cfg, "", "both"), `winner = "both"`)
	require.ErrorContains(t, v.Reconcile(*cfg, "", checkpoint.Neither), "want a pointer")
	require.ErrorContains(t, v.Reconcile((*runConfig)(nil), "", checkpoint.Neither), "want a pointer")
}

// Free paths within an object that one side lacks keep the present's values.
func TestReconcileNested(t *testing.T) {
	v := savedRun(t)
	type nested struct {
		runConfig
		Log *struct {
			Dir   string `json:"dir,omitempty"`
			Every int    `json:"every,omitempty"`
		} `json:"log,omitempty"`
	}
	cfg := &nested{runConfig: *newRunConfig()}
	cfg.LR = 1
	cfg.Recipe.Note = "free"
	require.NoError(t, v.Reconcile(cfg, "sha256:1", checkpoint.Theirs, "recipe.note"))
	require.Equal(t, 0.05, cfg.LR)
	require.Equal(t, "free", cfg.Recipe.Note)
	require.Equal(t, 0.1, cfg.Recipe.Decay)
}
