"""Names that differ by one letter and are borne by different people: a slip is not assumed between two of them."""

from __future__ import annotations

KNOWN_NAMES = frozenset("""
    ade adi adit aditya afif agam agung agus ahmad aini aisyah ajeng akbar aldi aldo alfi alfian ali alif alin alma
    alwi amat amelia amin amina aminah amir amira amri ana anah anang andi andika andini andre andri andrian
    andriani anggi anggun ani anik anis anisa anita anton antoni anwar ardi ardian ari arif arifin aris arman arni
    arti aryani asih asri asti astri astuti atik ayu azhar azis bagas bagus bahar bahri bakri bambang baskoro basri
    basuki bayu beni benny bima budi budiman bunga burhan cahya cahyo cahyono candra cici citra dadan dadang dahlan
    dahlia damar dani daniel danu darma darman darmi darmo darno darsi darsono darti darto darwis daud deden dedi
    dedy defi deni denny dewa dewi dian diana dika diki dimas dina dini dita dodi doni dwi eka eko ela eli elis elsa
    ema emi endah endang eni erik erika erlina erna ernawati erni ester eti eva fadil fadila fadli fahmi fahri
    faisal fajar fajri farah farhan farid farida faris fatimah fatma fauzan fauzi fauziah ferdi feri fikri firman
    fitra fitri fitria fitriana fitriani galih galuh gani gilang gita gunarto gunawan hadi hafid hafiz hakim halim
    halimah hamdan hamid hamidah hamim hamzah hana hanafi handi handoko hani hanif hari harianto haris harjo harjono
    harman harni harno hartana hartati hartini hartono harun haryadi haryani haryanti haryanto haryati haryono hasan
    hasanah hasbi hasnah hasni hayati helmi hendi hendra hendri hendro heni heri herlambang herlina herman hermanto
    hermawan herna herry hesti hidayah hidayat hilda hilman husain husna husni ida idris ihsan iin ika ilham ilhami
    ilyas imam iman imas imron ina indah indra indri indriani intan ipah ira irawan irawati irma irman irwan irwin
    isa iskandar ismail ismi isna iwan izza jaja jajang jaka jamal jamil jamilah jaya joko jono juli julia jumadi
    jumiati juminah kadir kamal kamil karim karima karman karmi karmin karni karno karsi karso karta karti kartika
    kartini kartono karyadi karyono kasim kasman kasmin kasno kasti khalid khalida komar komariah kurnia kurniati
    kurniawan kurniawati kusmiati kusnadi kusno laila laili lani latif latifah lela leni lesmana lestari lia lidya
    lili lilik lilis lina linda lisa listiani lukman lusi lutfi mahmud mahmudah maimun maimunah malik mansur mardi
    mardiah mardiana marhadi maria mariam mariana marina marjo marlina marni marsih marsini marsudi marta martha
    marti martini marto marwah marwan maryadi maryam maryana maryani maryanto maryati maryono masri mastur mawar
    maya mei meli merry mila mina mira misbah mubarok mudi muhtar mujiati mujiono muklis mulia mulyadi mulyana
    mulyani mulyanto mulyati mulyono munir munira murni mursid murti musa mustafa mustofa mutia mutiara nabil nabila
    nadia naila nana nanang nani nanik nardi narti narto nasir nasrul nela neni nia nila nina ning ningsih nining
    nita nova novi noviana novianti nunik nuning nunung nur nuraida nuraini nurdiana nurdin nurhayati nurhidayah
    nurhidayat nurhidayati nurjanah nurlaela nurlaila nurma nurman nursanti nurul nuryani nuryanti paijo paino panji
    parman parmi parmin parno parti partini parto ponidi ponijo ponirah pono prasetya prasetyo prastowo pratama puji
    purnama purnomo purwadi purwanti purwanto purwati purwono puspa puspita putra putri putu rafi rafiq rahim rahma
    rahmah rahman rahmat rahmi rama ramadan ramadani ramadhan ramadhani ramdan ramdani ramlah ramli rani ratih ratna
    ratno reni renita reno reti retno ria rian riana rida ridho ridwan rifai rika rina rini rino rio riska riski
    rita rizal rizka rizki rizwan roh rohana rohani rohaya rohayati rohim rohimah rohmah rohman roni rosa rosi
    rosmiati rosmini rosna rosnah rudi rudianto rukmana rukmini rusdi ruslan rusli rusman rusmi rusmin ruswandi
    sabar sabri safar safira safri sahid said saida sakinah salam saleh salim salimah salma salman samad samin samsi
    samsudin samsul sandi sandra sani santi santo santosa santoso sapri sari saridi sarifah sariman sarjo sarjono
    sarman sarmi sarmin sarni sarno sarti sarwo satria sekar selamet septi septian setia setiawan setiawati setyo
    shinta sigit simin sinta siska siswadi siswanto siswati siswoyo siti slamet sofia sofyan soleh soleha sri
    subandi subarjo sudarman sudarmi sudarmo sudarno sudarsih sudarso sudarsono sudarti sudarto sudarwati sudibyo
    sudiman sudira sudirman sudiro sudiyono sugiarti sugiarto sugiman sugimin sugina sugini sugiono sugito sugiyanto
    sugiyarti sugiyem sugiyono suhardi suharman suharmi suharni suharno suharsono suharti suhartini suharto
    suhartono suherman suhermi sujana sujarwo sujati sujiman sujinah sujoko sujono sukamto sukanti sukardi sukarman
    sukarmi sukarni sukarno sukarsi sukarso sukarti sukarto sukarya sukaryo sukesi sukini sukirah sukiran sukirman
    sukirno sukiyem sukma sukmana sukmawan sukmawati sulaiman sulami sulasih sulasmi sulastri sulistiani
    sulistiawati sulistyo sulistyowati sumadi sumanto sumardi sumari sumarlin sumarmi sumarna sumarni sumarno
    sumarsih sumarsono sumarti sumarto sumarwan sumiati suminah sumini sumirah sumitro sumiyati sumiyem sunardi
    sunarni sunarno sunarsih sunarti sunarto sunaryati sunaryo sundari supardi suparjo suparman suparmi suparmin
    suparni suparno suparti supartini suparto supeni supiati supini supono supratman supri supriadi supriatin
    supriatna supriono supriyadi supriyani supriyanti supriyanto supriyati supriyatin supriyono surahman surana
    surani surano surati surono surti surtini surya suryadi suryana suryani suryanto suryati suryono susan susana
    susanti susanto susi susiana susianti susilawati susilo susilowati sutar sutari sutarman sutarmi sutarni sutarno
    sutarsih sutarti sutarto sutinah sutini sutino sutiyah sutiyem sutiyono sutopo sutoyo sutrimah sutrimo sutrisna
    sutrisni sutrisno suwandi suwanti suwanto suwardi suwarni suwarno suwarsih suwarso suwarti suwarto suwati
    suwatno suwito suwono suyadi suyanti suyanto suyati suyatin suyatmi suyatni suyatno suyono syahrial syahrir
    syahrul syaiful syamsiah syamsul syarif syarifah tamam taman tamin tarman tarmi tarmin tarno tarsih tarti tarto
    taryono tatang tati tatik tedi teti tini titi titik titin tono topan tri tuti tutik udin ulfa uli umar umi
    umiati untung usman uswatun utami utari utomo vera vina vivi wagiman wagimin wagini wagino wagiran wagiyem
    wagiyo wahid wahidah wahidin wahyu wahyudi wahyuni wakiman wakini waluyo wanti wanto warni warno warsi warsini
    warsiti warsito warso warsono warti wartini warto wati wawan wibowo widi widia widodo widyawati wijaya winarni
    winarno winarsih winarti winarto wira wirawan wiwik wiwin wulan wulandari wulansari yana yani yanti yanto yasin
    yati yatmi yatmin yatno yayan yayat yeni yenni yesi yoga yogi yohana yohanes yono yosi yudha yudi yudianto yuli
    yulia yuliana yuliani yulianti yulianto yuliati yunan yuni yuniarti yunita yunus yusna yusni yusnita yusran
    yusri yusril yusuf zaenab zainab zainal zaini zainudin zaki zakia zubaidah zulfa zulfi zulham zulkarnain
""".split())  # fmt: skip # noqa: SIM905
