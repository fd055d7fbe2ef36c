package dataset

import (
	"container/heap"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/pkg/errors"
)

const piecesKind = "pieces"

// Ids that every vocabulary of this kind has, as SentencePiece lays them out.
const (
	pieceBOS  int32 = 1
	pieceEOS  int32 = 2
	firstByte int32 = 3 // <0x00>; the 256 byte tokens follow each other
)

// Pieces is the tokenizer of llama2.c-style models: SentencePiece's byte-pair
// encoding by scores, over the vocabulary file that llama2.c exports
// ([LoadPieces]). A text is split into characters, those without a piece into
// bytes, and the neighbours whose joint piece has the highest score are merged
// until none has one.
type Pieces struct {
	pieces []piece
	ids    map[string]int32
	bytes  [256]string // the byte that each byte token stands for
}

type piece struct {
	Text  string  `json:"piece"`
	Score float32 `json:"score"`
}

func newPieces(pieces []piece) (*Pieces, error) {
	p := &Pieces{pieces: pieces, ids: make(map[string]int32, len(pieces))}
	if len(pieces) < int(firstByte)+256 {
		return nil, errors.Wrapf(ErrFormat, "%d pieces, want at least %d (3 marks and 256 bytes)", len(pieces), int(firstByte)+256)
	}
	for i := range p.bytes {
		if want := fmt.Sprintf("<0x%02X>", i); pieces[int(firstByte)+i].Text != want {
			return nil, errors.Wrapf(ErrFormat, "piece %d = %q, want %q", int(firstByte)+i, pieces[int(firstByte)+i].Text, want)
		}
		p.bytes[i] = string([]byte{byte(i)})
	}
	for i, q := range pieces {
		if math.IsNaN(float64(q.Score)) {
			return nil, errors.Wrapf(ErrFormat, "score of piece %d %q is NaN", i, q.Text)
		}
		if _, twice := p.ids[q.Text]; !twice { // the first one counts
			p.ids[q.Text] = int32(i)
		}
	}
	return p, nil
}

// Kind is "pieces".
func (p *Pieces) Kind() string { return piecesKind }

// Vocab is the number of pieces.
func (p *Pieces) Vocab() int { return len(p.pieces) }

// EndOfText is 2, the end-of-sequence mark.
func (p *Pieces) EndOfText() int32 { return pieceEOS }

// Encode gives the ids of a document, as the model was trained on: the
// begin-of-sequence mark, then the text with a space before it.
func (p *Pieces) Encode(text string) ([]int32, error) {
	if err := CheckUTF8(text); err != nil {
		return nil, err
	}
	if text == "" {
		return []int32{pieceBOS}, nil
	}
	m := newMerger(p, len(text)+2)
	m.push(pieceBOS)
	for _, r := range " " + text {
		if id, ok := p.ids[string(r)]; ok {
			m.push(id)
			continue
		}
		for _, b := range []byte(string(r)) {
			m.push(firstByte + int32(b))
		}
	}
	return m.run(), nil
}

// Decode joins the pieces of ids. The marks give no text, and the space that
// Encode put after the begin-of-sequence mark is taken away again.
func (p *Pieces) Decode(ids []int32) (string, error) {
	if err := checkIDs(ids, len(p.pieces), 0); err != nil {
		return "", err
	}
	var b strings.Builder
	for i, id := range ids {
		switch {
		case id == pieceBOS || id == pieceEOS:
		case id >= firstByte && id < firstByte+256:
			b.WriteString(p.bytes[id-firstByte])
		case i > 0 && ids[i-1] == pieceBOS:
			b.WriteString(strings.TrimPrefix(p.pieces[id].Text, " "))
		default:
			b.WriteString(p.pieces[id].Text)
		}
	}
	return b.String(), nil
}

// MarshalJSON writes the pieces with their scores.
func (p *Pieces) MarshalJSON() ([]byte, error) { return json.Marshal(p.pieces) }

func unmarshalPieces(data []byte) (*Pieces, error) {
	var pieces []piece
	if err := json.Unmarshal(data, &pieces); err != nil {
		return nil, errors.Wrapf(ErrFormat, "vocabulary: %v", err)
	}
	return newPieces(pieces)
}

// merger merges neighbours, best score first, the leftmost of equals: a heap
// of candidate pairs over a linked list of tokens, so that a text of n
// characters costs n log n.
type merger struct {
	p          *Pieces
	ids        []int32 // -1: merged into its left neighbour
	prev, next []int32
	pairs      pairHeap
}

type pair struct {
	score       float32
	left, right int32 // places in ids
	a, b        int32 // the ids there when the pair was found
	merged      int32 // id of the joint piece
}

func newMerger(p *Pieces, capacity int) *merger {
	return &merger{p: p, ids: make([]int32, 0, capacity)}
}

func (m *merger) push(id int32) { m.ids = append(m.ids, id) }

func (m *merger) run() []int32 {
	n := len(m.ids)
	m.prev, m.next = make([]int32, n), make([]int32, n)
	for i := range n {
		m.prev[i], m.next[i] = int32(i-1), int32(i+1)
		if i == n-1 {
			m.next[i] = -1
		}
	}
	for i := range n - 1 {
		m.consider(int32(i), int32(i+1))
	}
	for len(m.pairs) > 0 {
		c := heap.Pop(&m.pairs).(pair)
		if m.ids[c.left] != c.a || m.ids[c.right] != c.b || m.next[c.left] != c.right {
			continue // one side was merged with another neighbour since
		}
		m.ids[c.left], m.ids[c.right] = c.merged, -1
		m.next[c.left] = m.next[c.right]
		if r := m.next[c.left]; r >= 0 {
			m.prev[r] = c.left
			m.consider(c.left, r)
		}
		if l := m.prev[c.left]; l >= 0 {
			m.consider(l, c.left)
		}
	}
	out := make([]int32, 0, n)
	for i := int32(0); i >= 0; i = m.next[i] {
		out = append(out, m.ids[i])
	}
	return out
}

// consider puts two neighbours on the heap if their joint text is a piece.
func (m *merger) consider(left, right int32) {
	a, b := m.ids[left], m.ids[right]
	id, ok := m.p.ids[m.p.pieces[a].Text+m.p.pieces[b].Text]
	if ok {
		heap.Push(&m.pairs, pair{m.p.pieces[id].Score, left, right, a, b, id})
	}
}

type pairHeap []pair

func (h pairHeap) Len() int { return len(h) }
func (h pairHeap) Less(i, j int) bool {
	if h[i].score != h[j].score {
		return h[i].score > h[j].score
	}
	return h[i].left < h[j].left
}
func (h pairHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *pairHeap) Push(x any)   { *h = append(*h, x.(pair)) }
func (h *pairHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
