"""The style sheet of a page, for light, dark and small screens and for paper."""

STYLE = """
:root{--bg:#f3f4f6;--card:#fff;--ink:#1b1f27;--muted:#5f6773;--line:#e2e5ea;--accent:#0a6aa6;--warn:#b4540a}
@media(prefers-color-scheme:dark){:root{--bg:#101319;--card:#191d25;--ink:#e7e9ee;--muted:#9aa2af;--line:#2c323d;
--accent:#63b3e6;--warn:#f0a35c}.strip img,.sheet img{filter:brightness(.88)}}
*{box-sizing:border-box}html{scroll-behavior:smooth}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,sans-serif;-webkit-text-size-adjust:100%}
header,main,footer{max-width:1160px;margin:0 auto;padding:0 24px}
header{padding-top:44px;padding-bottom:8px}h1{font-size:30px;line-height:1.2;letter-spacing:-.02em;margin:0;overflow-wrap:anywhere}
header p{margin:6px 0 18px;color:var(--muted)}
nav{display:flex;flex-wrap:wrap;gap:6px 18px;font-size:14px}nav a{color:var(--accent);text-decoration:none}
nav a:hover{text-decoration:underline}
main{display:flex;flex-wrap:wrap;gap:18px;padding-top:14px}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:22px 26px 26px;
flex:1 1 100%;min-width:0}section:has(.half){flex:1 1 440px}
h2{font-size:18px;letter-spacing:-.01em;margin:0 0 4px}
.intro{color:var(--muted);margin:0 0 16px;max-width:92ch}
.empty{color:var(--muted)}.scroll{overflow-x:auto}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:22px;
margin:4px 0 18px}
.tiles span{font-size:14px;color:var(--muted)}
.tiles .value{font-size:38px;font-weight:650;line-height:1.15;letter-spacing:-.02em}
.tiles small{font-size:20px;font-weight:500;color:var(--muted);margin-left:3px}
table{border-collapse:collapse;width:100%;font-size:15px;font-variant-numeric:tabular-nums}
th,td{padding:9px 12px;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
tbody tr:last-child>*{border-bottom:0}thead th{font-weight:500;font-size:14px;color:var(--muted)}
.scores :is(th,td):not(:first-child){text-align:right;white-space:nowrap}
:is(th,td):first-child{padding-left:0}
.settings th{font-weight:500;color:var(--muted);width:30%}
:is(.settings,.problems) :is(th,td){overflow-wrap:anywhere}.problems td{min-width:16ch}
.problems th[scope=row]{font:13.5px/1.6 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.figure svg{display:block;max-width:100%;height:auto;margin:0 auto}
.figure svg text{font-family:inherit!important}
.key{display:flex;flex-wrap:wrap;gap:6px 22px;list-style:none;margin:0 0 14px;padding:0;font-size:14px;
color:var(--muted)}
.key b{display:inline-block;width:18px;height:18px;line-height:18px;text-align:center;color:#fff;
font-size:12px;border-radius:4px;margin-right:7px}
.strip{margin:0;padding:16px 0 0}.strip+.strip{margin-top:16px;border-top:1px solid var(--line)}
.strip figcaption{font-size:14px;color:var(--muted);margin-bottom:8px;overflow-wrap:anywhere}
.strip img{display:block;width:100%;min-width:720px;height:auto;border-radius:8px}
h3{font-size:15px;margin:20px 0 2px}h3+.intro{font-size:14px;margin-bottom:10px}
.sheets{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,480px),1fr));gap:16px 22px}
.sheet{margin:0;min-width:0}
.sheet figcaption{font-size:14px;color:var(--muted);margin-bottom:6px;overflow-wrap:anywhere}
.sheet img{display:block;max-width:100%;height:auto;border-radius:8px}
.warnings{margin:8px 0 0;padding-left:20px;overflow-wrap:anywhere}.warnings li::marker{color:var(--warn)}
.limits{margin:12px 0 0;max-width:80ch}.limits dt{font-weight:600}.limits dd{margin:2px 0 14px}
footer{color:var(--muted);font-size:14px;padding-top:18px;padding-bottom:44px}
@media(max-width:640px){header,main,footer{padding-left:14px;padding-right:14px}section{padding:16px}
.tiles .value{font-size:30px}}
@media print{main{display:block}nav{display:none}
:root{--bg:#fff;--card:#fff;--ink:#000;--muted:#444;--line:#ccc}
section{border:0;padding:0;margin:0 0 24px}.strip,.sheet,tr,dd,.figure{break-inside:avoid}:is(h2,dt){break-after:avoid}
.strip img{min-width:0;filter:none}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""
