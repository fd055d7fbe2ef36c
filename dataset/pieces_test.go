package dataset_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gorget/gorget/dataset"
)

// pieceFile lays out a vocabulary file by hand: the three marks, the bytes,
// then the given pieces with scores 0, -1, -2 ...
func pieceFile(extra ...string) []byte {
	all := []string{"<unk>", "\n<s>\n", "\n</s>\n"}
	for b := range 256 {
		all = append(all, fmt.Sprintf("<0x%02X>", b))
	}
	all = append(all, extra...)
	buf := binary.LittleEndian.AppendUint32(nil, 7)
	for i, s := range all {
		buf, _ = binary.Append(buf, binary.LittleEndian, float32(-max(0, i-259)))
		buf = binary.LittleEndian.AppendUint32(buf, uint32(len(s)))
		buf = append(buf, s...)
	}
	return buf
}

func testPieces(t testing.TB) *dataset.Pieces {
	p, err := dataset.ReadPieces(bytes.NewReader(pieceFile("ab", "bc", "abc", " a", "aa", " ", "a", "b", "c", "é")))
	require.NoError(t, err)
	return p
}

func TestPiecesMergesByScore(t *testing.T) {
	p := testPieces(t)
	const ab, bc, abc, spaceA, aa, space, a, b, c, e = 259, 260, 261, 262, 263, 264, 265, 266, 267, 268
	for text, want := range map[string][]int32{
		"":     {1},
		"b":    {1, space, b},
		"a":    {1, spaceA},
		"abc":  {1, space, abc},                // ab (score 0) before " a" (-3); then abc
		"cabc": {1, space, c, abc},             // the same inside
		"bcb":  {1, space, bc, b},              // bc
		"caaa": {1, space, c, aa, a},           // the leftmost of equals
		"é":    {1, space, e},                  // a character with a piece
		"ü":    {1, space, 3 + 0xc3, 3 + 0xbc}, // and one without: its bytes
		"\n":   {1, space, 3 + 10},
	} {
		ids, err := p.Encode(text)
		require.NoError(t, err)
		require.Equal(t, want, ids, "%q", text)
		back, err := p.Decode(ids)
		require.NoError(t, err)
		require.Equal(t, text, back)
	}
	text, err := p.Decode([]int32{spaceA, 1, spaceA, 2})
	require.NoError(t, err)
	require.Equal(t, " aa", text, "the space goes away after the begin mark only")
	_, err = p.Encode("a\xff")
	require.ErrorIs(t, err, dataset.ErrNotUTF8)
	_, err = p.Decode([]int32{269})
	require.ErrorContains(t, err, "token 269")
	require.Equal(t, int32(2), p.EndOfText())
}

// The heap gives what the plain definition gives: look for the best pair in
// the whole text, merge, look again.
func TestPiecesEqualsTheDefinition(t *testing.T) {
	p := testPieces(t)
	pieces := map[string]int{}
	var list []struct{ Piece string }
	buf, err := p.MarshalJSON()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(buf, &list))
	for i, q := range list {
		pieces[q.Piece] = i
	}
	for n := range 3000 {
		var b strings.Builder
		for m := n; m > 0; m /= 5 {
			b.WriteString([]string{"a", "b", "c", " ", "x"}[m%5])
		}
		text := b.String()
		if text == "" {
			continue
		}
		words := []string{"\n<s>\n", " "}
		for _, r := range text {
			if s := string(r); r == 'x' {
				words = append(words, "<0x78>")
			} else {
				words = append(words, s)
			}
		}
		for {
			best, at := -1, -1
			for i := range len(words) - 1 {
				// Scores fall with the id, so the best is the lowest id.
				if id, ok := pieces[words[i]+words[i+1]]; ok && (at < 0 || id < best) {
					best, at = id, i
				}
			}
			if at < 0 {
				break
			}
			words = append(append(words[:at:at], words[at]+words[at+1]), words[at+2:]...)
		}
		var want []int32
		for _, w := range words {
			want = append(want, int32(pieces[w]))
		}
		got, err := p.Encode(text)
		require.NoError(t, err)
		require.Equal(t, want, got, "%q", text)
	}
}

func TestReadPiecesRefuses(t *testing.T) {
	whole := pieceFile("ab")
	_, err := dataset.ReadPieces(bytes.NewReader(whole))
	require.NoError(t, err)
	noByte := bytes.Replace(whole, []byte("<0x41>"), []byte("<0x42>"), 1)
	long := bytes.Clone(whole)
	binary.LittleEndian.PutUint32(long[4+4:], 1<<30)
	nan := bytes.Clone(whole)
	binary.LittleEndian.PutUint32(nan[4:], 0x7fc00000)
	for name, c := range map[string]struct {
		buf  []byte
		want string
	}{
		"empty":      {nil, "longest piece"},
		"head":       {[]byte{0, 0, 0, 0}, "longest piece = 0"},
		"cut text":   {whole[:len(whole)-1], "piece 259: text of 2 bytes"},
		"cut head":   {whole[:len(whole)-7], "piece 259: score and length"},
		"few":        {whole[:30], "pieces"},
		"wrong byte": {noByte, `want "<0x41>"`},
		"long":       {long, "piece 0: length = 1073741824"},
		"score":      {nan, "score of piece 0"},
	} {
		_, err := dataset.ReadPieces(bytes.NewReader(c.buf))
		require.ErrorIs(t, err, dataset.ErrFormat, name)
		require.ErrorContains(t, err, c.want, name)
	}
	path := filepath.Join(t.TempDir(), "tok.bin")
	_, err = dataset.LoadPieces(path)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(path, whole[:40], 0o600))
	_, err = dataset.LoadPieces(path)
	require.ErrorContains(t, err, path)
}

// GORGET_STORIES260K names a folder with the real vocabulary of the
// stories260K model (tok512.bin) and what llama2.c makes of some texts
// (encodings.json).
func TestStories260KVocabulary(t *testing.T) {
	dir := os.Getenv("GORGET_STORIES260K")
	if dir == "" {
		t.Skip("opt-in: set GORGET_STORIES260K to a folder with the pretrained stories260K model (README, Tests)")
	}
	p, err := dataset.LoadPieces(filepath.Join(dir, "tok512.bin"))
	require.NoError(t, err)
	require.Equal(t, 512, p.Vocab())
	buf, err := os.ReadFile(filepath.Join(dir, "encodings.json"))
	require.NoError(t, err)
	var want []struct {
		Text string
		IDs  []int32
	}
	require.NoError(t, json.Unmarshal(buf, &want))
	require.NotEmpty(t, want)
	for _, w := range want {
		ids, err := p.Encode(w.Text)
		require.NoError(t, err)
		require.Equal(t, w.IDs, ids, "%q", w.Text)
		back, err := p.Decode(ids)
		require.NoError(t, err)
		require.Equal(t, w.Text, back)
	}
}

func FuzzReadPieces(f *testing.F) {
	f.Add(pieceFile("ab", "a", "b"), "abab")
	f.Add(pieceFile()[:100], "")
	f.Fuzz(func(t *testing.T, file []byte, text string) {
		p, err := dataset.ReadPieces(bytes.NewReader(file))
		if err != nil {
			require.ErrorIs(t, err, dataset.ErrFormat)
			return
		}
		ids, err := p.Encode(text)
		if err != nil {
			require.ErrorIs(t, err, dataset.ErrNotUTF8)
			return
		}
		_, err = p.Decode(ids)
		require.NoError(t, err)
	})
}
